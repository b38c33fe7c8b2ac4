/* What control groups leave of a machine, from trees of files as the kernel shows them. */
#include <math.h>
#include <sys/stat.h>

#include "base/quota.h"
#include "tests/unit/scratch.h"

static char root[4096];

/* A file of the tree, with the folders above it. */
static void put(const char *path, const char *text)
{
  char whole[8192];
  snprintf(whole, sizeof whole, "%s%s", root, path);
  for (char *slash = strchr(whole + strlen(root) + 1, '/'); slash != NULL;
       slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(whole, 0700);
    *slash = '/';
  }
  FILE *file = fopen(whole, "w");
  ck_assert_msg(file != NULL, "%s cannot be written", whole);
  fputs(text, file);
  ck_assert_int_eq(fclose(file), 0);
}

static void begin(const char *name, const char *group, const char *mounts)
{
  snprintf(root, sizeof root, "%s/%s", scratch_folder, name);
  ck_assert_int_eq(mkdir(root, 0700), 0);
  put("/proc/self/cgroup", group);
  put("/proc/self/mountinfo", mounts);
}

#define UNIFIED                                                                             \
  "24 30 0:22 / /proc rw,nosuid - proc proc rw\n"                                           \
  "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 " \
  "rw,nsdelegate,memory_recursiveprot\n"

static void assert_limits(double processors, uint64_t memory, uint64_t left)
{
  const base_quota l = base_quota_read(root);
  ck_assert_msg(l.processors == processors || (isinf(l.processors) && isinf(processors)),
                "%g processors, not %g", l.processors, processors);
  ck_assert_msg(l.memory_bytes == memory, "%llu bytes, not %llu",
                (unsigned long long)l.memory_bytes, (unsigned long long)memory);
  ck_assert_msg(l.free_bytes == left, "%llu bytes free, not %llu", (unsigned long long)l.free_bytes,
                (unsigned long long)left);
}

START_TEST(no_groups_no_limits)
{
  snprintf(root, sizeof root, "%s/nothing", scratch_folder);
  assert_limits((double)INFINITY, UINT64_MAX, UINT64_MAX);
  begin("none", "", "24 30 0:22 / /proc rw - proc proc rw\n");
  assert_limits((double)INFINITY, UINT64_MAX, UINT64_MAX);
  begin("root", "0::/\n", UNIFIED); /* the root group has no such files */
  put("/sys/fs/cgroup/cgroup.procs", "1\n");
  assert_limits((double)INFINITY, UINT64_MAX, UINT64_MAX);
  begin("max", "0::/user.slice\n", UNIFIED);
  put("/sys/fs/cgroup/user.slice/cpu.max", "max 100000\n");
  put("/sys/fs/cgroup/user.slice/memory.max", "max\n");
  put("/sys/fs/cgroup/user.slice/memory.high", "max\n");
  put("/sys/fs/cgroup/user.slice/memory.current", "5000\n");
  assert_limits((double)INFINITY, UINT64_MAX, UINT64_MAX);
}
END_TEST

START_TEST(the_least_of_all_groups_above_counts)
{
  begin("nested", "0::/kubepods.slice/pod1/box\n", UNIFIED);
  put("/sys/fs/cgroup/kubepods.slice/cpu.max", "250000 100000\n");
  put("/sys/fs/cgroup/kubepods.slice/memory.max", "8589934592\n");
  put("/sys/fs/cgroup/kubepods.slice/memory.current", "8000000000\n");
  put("/sys/fs/cgroup/kubepods.slice/memory.stat", "anon 1\nfile 100\nshmem 40\n");
  put("/sys/fs/cgroup/kubepods.slice/pod1/cpu.max", "max 100000\n");
  put("/sys/fs/cgroup/kubepods.slice/pod1/memory.max", "2147483648\n");
  put("/sys/fs/cgroup/kubepods.slice/pod1/memory.current", "1073741824\n");
  put("/sys/fs/cgroup/kubepods.slice/pod1/memory.stat",
      "anon 73741824\nfile 1000000000\nkernel 5\nfile_mapped 7\nshmem 0\n");
  put("/sys/fs/cgroup/kubepods.slice/pod1/box/cpu.max", "20000 5000\n");
  put("/sys/fs/cgroup/kubepods.slice/pod1/box/memory.max", "max\n");
  assert_limits(2.5, 2147483648u, 8589934592u - 8000000000u + 60);
  put("/sys/fs/cgroup/kubepods.slice/pod1/box/memory.high", "1000000\n");
  put("/sys/fs/cgroup/kubepods.slice/pod1/box/memory.current", "1500000\n");
  assert_limits(2.5, 1000000, 0);
}
END_TEST

START_TEST(name_spaces_show_groups_as_roots)
{
  /* Docker with a name space of its own. */
  begin("space", "0::/\n", UNIFIED);
  put("/sys/fs/cgroup/cpu.max", "50000 100000\n");
  put("/sys/fs/cgroup/memory.max", "1000\n");
  assert_limits(0.5, 1000, 1000);
  /* Its group is mounted, but the process sees the machine's paths. */
  begin("bound", "0::/docker/abc\n",
        "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
  put("/sys/fs/cgroup/cpu.max", "150000 100000\n");
  assert_limits(1.5, UINT64_MAX, UINT64_MAX);
  begin("within", "0::/docker/abc/inner\n",
        "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
  put("/sys/fs/cgroup/cpu.max", "150000 100000\n");
  put("/sys/fs/cgroup/inner/cpu.max", "100000 100000\n");
  assert_limits(1, UINT64_MAX, UINT64_MAX);
  /* One beside what is mounted, and one whose name begins alike. */
  begin("beside", "0::/../other\n", UNIFIED);
  put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
  put("/other/cpu.max", "1 100000\n");
  assert_limits(3, UINT64_MAX, UINT64_MAX);
  begin("alike", "0::/docker/abcd\n",
        "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
  put("/sys/fs/cgroup/cpu.max", "400000 100000\n");
  assert_limits(4, UINT64_MAX, UINT64_MAX);
}
END_TEST

START_TEST(version_1_has_a_tree_a_controller)
{
  begin(
      "one",
      "11:memory:/session/1\n4:cpu,cpuacct:/session\n3:cpuset:/session\n1:name=systemd:/x\n0::/y\n",
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
      "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
      "35 31 0:32 / /mnt/a\\040b rw,relatime master:11 - cgroup cgroup rw,memory\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  put("/sys/fs/cgroup/cpu,cpuacct/session/cpu.cfs_quota_us", "350000\n");
  put("/sys/fs/cgroup/cpu,cpuacct/session/cpu.cfs_period_us", "100000\n");
  put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  put("/sys/fs/cgroup/cpuset/session/cpu.cfs_quota_us", "1\n"); /* not its business */
  put("/mnt/a b/memory.limit_in_bytes", "9223372036854771712\n");
  put("/mnt/a b/memory.usage_in_bytes", "77\n");
  put("/mnt/a b/session/memory.limit_in_bytes", "1000000\n");
  put("/mnt/a b/session/memory.usage_in_bytes", "900000\n");
  put("/mnt/a b/session/memory.stat", "cache 9\ntotal_cache 300000\ntotal_shmem 100000\n");
  put("/mnt/a b/session/1/memory.limit_in_bytes", "2000000\n");
  put("/mnt/a b/session/1/memory.usage_in_bytes", "10\n");
  assert_limits(3.5, 1000000, 300000);
}
END_TEST

START_TEST(nonsense_is_no_limit)
{
  begin("odd", "0::/a\nnonsense\n:::\n", UNIFIED "x\n - cgroup2 - -\n1 2 3 4 - cgroup2 a b\n");
  put("/sys/fs/cgroup/a/cpu.max", "0 0\n");
  put("/sys/fs/cgroup/a/memory.max", "\n");
  assert_limits((double)INFINITY, UINT64_MAX, UINT64_MAX);
  put("/sys/fs/cgroup/a/cpu.max", "200000\n"); /* the period that is usual */
  assert_limits(2, UINT64_MAX, UINT64_MAX);
}
END_TEST

START_TEST(this_machine_has_something)
{
  ck_assert_int_ge(base_usable_processors(), 1);
  const base_memory memory = base_usable_memory();
  ck_assert_uint_gt(memory.total_bytes, 0);
  ck_assert_uint_le(memory.free_bytes, memory.total_bytes);
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {no_groups_no_limits,
                                the_least_of_all_groups_above_counts,
                                name_spaces_show_groups_as_roots,
                                version_1_has_a_tree_a_controller,
                                nonsense_is_no_limit,
                                this_machine_has_something,
                                NULL};
  return scratch_run("limits", tests);
}
