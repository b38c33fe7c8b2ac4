#include "tests/cuda_emulator/fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN
#endif
#if __has_feature(thread_sanitizer)
#define WITH_TSAN
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define WITH_ASAN
#endif
#ifdef __SANITIZE_THREAD__
#define WITH_TSAN
#endif
#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define WITH_VALGRIND
#endif
#if !defined(__x86_64__) || defined(FIBER_PORTABLE)
#define WITH_UCONTEXT
#include <ucontext.h>
#endif

enum { STACK_BYTES = 256 * 1024, GUARD_BYTES = 4096 };

typedef struct {
  char *stack; /* NULL: not made yet */
  void (*work)(int index);
  bool busy; /* in the middle of its work */
#ifdef WITH_UCONTEXT
  ucontext_t context;
#else
  void *top; /* where its registers are saved */
#endif
#ifdef WITH_ASAN
  void *fake_stack;
#endif
#ifdef WITH_TSAN
  void *tsan;
#endif
#ifdef WITH_VALGRIND
  unsigned valgrind_id;
#endif
} fiber;

static fiber fibers[FIBER_COUNT];
static int current = -1;

/* The thread that resumes. */
static struct {
#ifdef WITH_UCONTEXT
  ucontext_t context;
#else
  void *top;
#endif
#ifdef WITH_ASAN
  void *fake_stack;
  const void *stack;
  size_t stack_bytes;
#endif
#ifdef WITH_TSAN
  void *tsan;
#endif
} resumer;

/* ---- Switching ---- */

#ifndef WITH_UCONTEXT
/* Saves what a call must keep on the stack that is left, and takes it from the one that is entered:
 * System V ABI, x86-64. */
void fiber_switch(void **left, void *entered) __attribute__((visibility("hidden")));
__asm__(".text\n"
        ".type fiber_switch, @function\n"
        ".hidden fiber_switch\n"
        ".globl fiber_switch\n"
        "fiber_switch:\n"
        "  pushq %rbp\n"
        "  pushq %rbx\n"
        "  pushq %r12\n"
        "  pushq %r13\n"
        "  pushq %r14\n"
        "  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n"
        "  popq %r14\n"
        "  popq %r13\n"
        "  popq %r12\n"
        "  popq %rbx\n"
        "  popq %rbp\n"
        "  ret\n"
        ".size fiber_switch, .-fiber_switch\n");
#endif

static void enter(fiber *entered)
{
#ifdef WITH_ASAN
  __sanitizer_start_switch_fiber(&resumer.fake_stack, entered->stack + GUARD_BYTES, STACK_BYTES);
#endif
#ifdef WITH_TSAN
  resumer.tsan = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(entered->tsan, 0);
#endif
#ifdef WITH_UCONTEXT
  swapcontext(&resumer.context, &entered->context);
#else
  fiber_switch(&resumer.top, entered->top);
#endif
#ifdef WITH_ASAN
  __sanitizer_finish_switch_fiber(resumer.fake_stack, NULL, NULL);
#endif
}

/* The resumer may be another thread, with another stack, each time. */
static void arrive(fiber *arrived)
{
#ifdef WITH_ASAN
  __sanitizer_finish_switch_fiber(arrived->fake_stack, &resumer.stack, &resumer.stack_bytes);
#endif
  (void)arrived;
}

static void leave(fiber *left)
{
#ifdef WITH_ASAN
  __sanitizer_start_switch_fiber(&left->fake_stack, resumer.stack, resumer.stack_bytes);
#endif
#ifdef WITH_TSAN
  __tsan_switch_to_fiber(resumer.tsan, 0);
#endif
#ifdef WITH_UCONTEXT
  swapcontext(&left->context, &resumer.context);
#else
  fiber_switch(&left->top, resumer.top);
#endif
  arrive(left);
}

/* A fiber serves one work-item after the other and never ends. */
static void serve(void)
{
  const int index = current;
  fiber *self = &fibers[index];
  arrive(self);
  for (;;) {
    self->work(index);
    self->busy = false;
    leave(self);
  }
}

/* ---- Making ---- */

static void make(fiber *made)
{
  const size_t mapped = STACK_BYTES + GUARD_BYTES;
  char *stack = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED || mprotect(stack, GUARD_BYTES, PROT_NONE) != 0)
    abort();
  made->stack = stack;
#ifdef WITH_UCONTEXT
  getcontext(&made->context);
  made->context.uc_stack.ss_sp = stack + GUARD_BYTES;
  made->context.uc_stack.ss_size = STACK_BYTES;
  made->context.uc_link = NULL;
  makecontext(&made->context, serve, 0);
#else
  /* From the top: the place of a return address, so that `serve` finds the stack aligned as after
   * a call, its own address, and six registers. */
  uintptr_t *words = (uintptr_t *)(void *)(stack + mapped) - 8;
  words[6] = (uintptr_t)serve;
  made->top = words;
#endif
#ifdef WITH_TSAN
  made->tsan = __tsan_create_fiber(0);
#endif
#ifdef WITH_VALGRIND
  made->valgrind_id = VALGRIND_STACK_REGISTER(stack + GUARD_BYTES, stack + mapped);
#endif
}

static void unmake(fiber *dead)
{
  if (dead->stack == NULL)
    return;
#ifdef WITH_TSAN
  __tsan_destroy_fiber(dead->tsan);
#endif
#ifdef WITH_VALGRIND
  VALGRIND_STACK_DEREGISTER(dead->valgrind_id);
#endif
  munmap(dead->stack, STACK_BYTES + GUARD_BYTES);
  *dead = (fiber){0};
}

bool fiber_resume(int index, void (*work)(int index))
{
  fiber *resumed = &fibers[index];
  if (resumed->stack == NULL)
    make(resumed);
  resumed->work = work;
  resumed->busy = true;
  current = index;
  enter(resumed);
  current = -1;
  return !resumed->busy;
}

void fiber_pause(void)
{
  leave(&fibers[current]);
}

int fiber_current(void)
{
  return current;
}

void fiber_abandon_all(void)
{
  for (int i = 0; i < FIBER_COUNT; i++)
    unmake(&fibers[i]);
}

static __attribute__((destructor)) void free_at_unload(void)
{
  fiber_abandon_all();
}
