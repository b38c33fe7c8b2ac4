/* The progress of downloads from the hub on stderr: on a terminal one line that is redrawn,
 * elsewhere a plain line every few seconds. */
#ifndef CONDLORA_TOOLS_CONSOLE_DOWNLOAD_H
#define CONDLORA_TOOLS_CONSOLE_DOWNLOAD_H

/* Shows all downloads of this process from now on. A deferred signal stops them. */
void console_downloads_show(void);

#endif
