/* hub-probe any|model|adapter|tokenizer NAME [STOP]: resolves a name by the library and prints its
 * folder, name and commit, or the status and the message. STOP: the progress callback stops the
 * download when this many bytes are there. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "condlora/hub.h"

typedef struct {
  uint64_t stop, most, total;
  int reports, ends;
} watch;

static int on_progress(void *user, const cdl_hub_progress *progress)
{
  watch *w = user;
  w->reports++;
  w->ends += progress->finished;
  if (progress->bytes > w->most)
    w->most = progress->bytes;
  if (progress->total > w->total)
    w->total = progress->total;
  return progress->bytes >= w->stop;
}

static const char *or_nothing(const char *text)
{
  return text != NULL ? text : "-";
}

int main(int count, char **arguments)
{
  static const char *const kinds[] = {"any", "model", "adapter", "tokenizer"};
  if (count < 3)
    return 2;
  watch w = {.stop = count > 3 ? strtoull(arguments[3], NULL, 10) : UINT64_MAX};
  cdl_hub_options options = cdl_hub_options_init();
  for (int i = 0; i < 4; i++)
    if (strcmp(arguments[1], kinds[i]) == 0)
      options.kind = (cdl_hub_kind)i;
  options.progress = on_progress;
  options.user = &w;
  cdl_hub_source *source;
  const cdl_status status = cdl_hub_resolve(arguments[2], &options, &source);
  if (status != CDL_STATUS_OK)
    printf("%s\n%s\n", cdl_status_name(status), cdl_error_message());
  else
    printf("OK\n%s\n%s\n%s\n", cdl_hub_source_folder(source),
           or_nothing(cdl_hub_source_name(source)), or_nothing(cdl_hub_source_commit(source)));
  printf("%d %d %" PRIu64 " %" PRIu64 "\n", w.reports, w.ends, w.most, w.total);
  cdl_hub_source_close(source);
  return status == CDL_STATUS_OK ? 0 : 1;
}
