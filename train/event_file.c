#include "train/event_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/machine.h"
#include "base/path.h"
#include "train/events.pb-c.h"

static const char name_start[] = "events.out.tfevents.";

struct train_event_file {
  char *path;
  int descriptor;
};

/* ---- Records ---- */

/* CRC-32C (RFC 3720), bit by bit: a record has a few hundred bytes. */
static uint32_t crc32c(const uint8_t *bytes, size_t count)
{
  const uint32_t polynomial = 0x82f63b78; /* bits reversed */
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < count; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (polynomial & -(crc & 1));
  }
  return ~crc;
}

/* TFRecord stores checksums rotated, with a constant added. */
static void put_checksum(uint8_t *to, const uint8_t *bytes, size_t count)
{
  const uint32_t crc = crc32c(bytes, count), masked = (crc >> 15 | crc << 17) + 0xa282ead8;
  for (int i = 0; i < 4; i++)
    to[i] = (uint8_t)(masked >> 8 * i);
}

static cdl_status write_all(const train_event_file *f, const uint8_t *bytes, size_t count)
{
  while (count > 0) {
    const ssize_t written = write(f->descriptor, bytes, count);
    if (written < 0 && errno != EINTR)
      return cdl_fail(CDL_STATUS_IO, "%s: %s", f->path, strerror(errno));
    bytes += written > 0 ? written : 0;
    count -= written > 0 ? (size_t)written : 0;
  }
  return CDL_STATUS_OK;
}

/* One write for a record, so that a reader finds it whole. */
static cdl_status write_event(const train_event_file *f, TrainTb__Event *event)
{
  enum { LENGTH = 8, CHECKSUM = 4, HEAD = LENGTH + CHECKSUM };
  event->has_wall_time = true;
  event->wall_time = base_time_seconds();
  const size_t count = train_tb__event__get_packed_size(event);
  uint8_t *record = malloc(HEAD + count + CHECKSUM);
  if (record == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", f->path);
  for (int i = 0; i < LENGTH; i++)
    record[i] = (uint8_t)((uint64_t)count >> 8 * i);
  put_checksum(record + LENGTH, record, LENGTH);
  train_tb__event__pack(event, record + HEAD);
  put_checksum(record + HEAD + count, record + HEAD, count);
  const cdl_status status = write_all(f, record, HEAD + count + CHECKSUM);
  free(record);
  return status;
}

static TrainTb__Event event_at(int64_t step)
{
  TrainTb__Event event = TRAIN_TB__EVENT__INIT;
  event.has_step = true;
  event.step = step;
  return event;
}

/* ---- Scalars ---- */

cdl_status train_event_file_add(train_event_file *f, int64_t step, const train_scalar *scalars,
                                size_t count)
{
  TrainTb__Value *values = calloc(count + 1, sizeof *values),
                 **list = calloc(count + 1, sizeof(TrainTb__Value *));
  cdl_status status = values != NULL && list != NULL
                          ? CDL_STATUS_OK
                          : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", f->path);
  for (size_t i = 0; status == CDL_STATUS_OK && i < count; i++) {
    train_tb__value__init(&values[i]);
    values[i].tag = (char *)(uintptr_t)scalars[i].tag;
    values[i].has_simple_value = true;
    values[i].simple_value = (float)scalars[i].value;
    list[i] = &values[i];
  }
  if (status == CDL_STATUS_OK) {
    TrainTb__Summary summary = TRAIN_TB__SUMMARY__INIT;
    TrainTb__Event event = event_at(step);
    summary.n_value = count;
    summary.value = list;
    event.summary = &summary;
    status = write_event(f, &event);
  }
  free(list);
  free(values);
  return status;
}

/* ---- Settings ---- */

static cdl_status write_settings_message(const train_event_file *f, const char *tag, int64_t step,
                                         TrainTb__HParams *message)
{
  message->has_version = true; /* 0 */
  const size_t count = train_tb__hparams__get_packed_size(message);
  uint8_t *content = malloc(count + 1);
  if (content == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", f->path);
  train_tb__hparams__pack(message, content);
  TrainTb__PluginData plugin = TRAIN_TB__PLUGIN_DATA__INIT;
  TrainTb__SummaryMetadata metadata = TRAIN_TB__SUMMARY_METADATA__INIT;
  TrainTb__Value value = TRAIN_TB__VALUE__INIT, *values[] = {&value};
  TrainTb__Summary summary = TRAIN_TB__SUMMARY__INIT;
  TrainTb__Event event = event_at(step);
  char plugin_name[] = "hparams";
  plugin.plugin_name = plugin_name;
  plugin.has_content = true;
  plugin.content = (ProtobufCBinaryData){.len = count, .data = content};
  metadata.plugin_data = &plugin;
  value.tag = (char *)(uintptr_t)tag;
  value.metadata = &metadata;
  summary.n_value = 1;
  summary.value = values;
  event.summary = &summary;
  const cdl_status status = write_event(f, &event);
  free(content);
  return status;
}

/* The page shows numbers, truths and texts; anything else is shown as its JSON. */
typedef struct {
  TrainTb__NamedSetting named;
  TrainTb__Setting value;
  char *text; /* owned */
} shown_setting;

static bool show_setting(shown_setting *s, const char *key, const json_t *value)
{
  train_tb__named_setting__init(&s->named);
  train_tb__setting__init(&s->value);
  s->named.key = (char *)(uintptr_t)key;
  s->named.value = &s->value;
  if (json_is_number(value)) {
    s->value.has_number_value = true;
    s->value.number_value = json_number_value(value);
  } else if (json_is_boolean(value)) {
    s->value.has_bool_value = true;
    s->value.bool_value = json_is_true(value);
  } else {
    s->text = json_is_string(value) ? strdup(json_string_value(value)) : base_json_line(value);
    s->value.string_value = s->text;
    return s->text != NULL;
  }
  return true;
}

static cdl_status write_start(const train_event_file *f, const json_t *settings)
{
  const size_t most = json_object_size(settings) + 1;
  shown_setting *shown = calloc(most, sizeof *shown);
  TrainTb__NamedSetting **list = calloc(most, sizeof *list);
  TrainTb__SessionStart start = TRAIN_TB__SESSION_START__INIT;
  TrainTb__HParams message = TRAIN_TB__HPARAMS__INIT;
  bool whole = shown != NULL && list != NULL;
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)settings, key, value)
  {
    if (!whole || json_is_null(value))
      continue;
    whole = show_setting(&shown[start.n_hparams], key, value);
    list[start.n_hparams] = &shown[start.n_hparams].named;
    start.n_hparams++;
  }
  start.hparams = list;
  start.has_start_time_secs = true;
  start.start_time_secs = base_time_seconds();
  message.session_start_info = &start;
  const cdl_status status =
      whole ? write_settings_message(f, "_hparams_/session_start_info", 0, &message)
            : cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", f->path);
  for (size_t i = 0; shown != NULL && i < start.n_hparams; i++)
    free(shown[i].text);
  free(list);
  free(shown);
  return status;
}

cdl_status train_event_file_finish(train_event_file *f, int64_t step)
{
  TrainTb__SessionEnd end = TRAIN_TB__SESSION_END__INIT;
  TrainTb__HParams message = TRAIN_TB__HPARAMS__INIT;
  end.has_status = true;
  end.status = TRAIN_TB__SESSION_END__STATUS__SUCCESS;
  end.has_end_time_secs = true;
  end.end_time_secs = base_time_seconds();
  message.session_end_info = &end;
  return write_settings_message(f, "_hparams_/session_end_info", step, &message);
}

/* ---- The file ---- */

/* Returns the seconds in the name of the newest file in the folder, or 0. */
static long long newest_in(const char *folder)
{
  long long newest = 0;
  DIR *names = opendir(folder);
  for (const struct dirent *entry; names != NULL && (entry = readdir(names)) != NULL;) {
    if (strncmp(entry->d_name, name_start, sizeof name_start - 1) != 0)
      continue;
    const long long seconds = strtoll(entry->d_name + sizeof name_start - 1, NULL, 10);
    newest = seconds > newest ? seconds : newest;
  }
  if (names != NULL)
    closedir(names);
  return newest;
}

/* TensorBoard reads the files of a folder in the order of their names, so each one is a second
 * newer at least, whatever the clock says. */
static cdl_status create(train_event_file *f, const char *folder)
{
  const base_machine machine = base_machine_look();
  const long long now = (long long)base_time_seconds(), newest = newest_in(folder);
  long long seconds = now > newest ? now : newest + 1;
  do {
    char name[160];
    snprintf(name, sizeof name, "%s%010lld.%s.%ld", name_start, seconds++,
             machine.host[0] != '\0' ? machine.host : "host", (long)getpid());
    free(f->path);
    f->path = base_path_join(folder, name);
    if (f->path == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
    f->descriptor = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
  } while (f->descriptor < 0 && errno == EEXIST);
  return f->descriptor >= 0 ? CDL_STATUS_OK
                            : cdl_fail(CDL_STATUS_IO, "%s: %s", f->path, strerror(errno));
}

static cdl_status begin(train_event_file *f, const char *folder, int64_t first_step,
                        const json_t *settings)
{
  char version[] = "brain.Event:2";
  TrainTb__Event head = TRAIN_TB__EVENT__INIT, restart = event_at(first_step);
  TrainTb__SessionLog log = TRAIN_TB__SESSION_LOG__INIT;
  CDL_TRY(base_folder_make(folder));
  CDL_TRY(create(f, folder));
  head.file_version = version;
  CDL_TRY(write_event(f, &head));
  log.has_status = true;
  log.status = TRAIN_TB__SESSION_LOG__STATUS__START;
  restart.session_log = &log;
  CDL_TRY(write_event(f, &restart));
  return write_start(f, settings);
}

cdl_status train_event_file_open(const char *folder, int64_t first_step, const json_t *settings,
                                 train_event_file **file)
{
  train_event_file *f = calloc(1, sizeof *f);
  *file = NULL;
  if (f == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "%s: out of memory", folder);
  f->descriptor = -1;
  const cdl_status status = begin(f, folder, first_step, settings);
  if (status == CDL_STATUS_OK)
    *file = f;
  else
    train_event_file_close(f);
  return status;
}

void train_event_file_close(train_event_file *f)
{
  if (f == NULL)
    return;
  if (f->descriptor >= 0)
    close(f->descriptor);
  free(f->path);
  free(f);
}
