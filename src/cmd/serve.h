/* serve.h - private to the command `serve`: its settings, and what it tells the service manager. */
#ifndef CMD_SERVE_H
#define CMD_SERVE_H

#include "cmd/cmd.h"

/* serve_config.c: the file of --config and the environment, into those rows that no flag has set; MODEL, from wherever it comes (borrowed; NULL:
 * nowhere). `file` holds the texts and is freed last. ARGS_GO or EXIT_USAGE after a message. */
int  serve_configure(struct args *a, void *const *configs, const char **model, sc_settings *file);
int  serve_print_config(const struct args *a, void *const *configs, const char *model);     /* JSON that --config reads again */

/* serve_notify.c: systemd's sd_notify protocol; a descriptor of -1: nobody wants to know. */
int  notify_open(void);
void notify_send(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
