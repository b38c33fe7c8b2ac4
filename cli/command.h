/* The commands: one file each. */
#ifndef CONDLORA_CLI_COMMAND_H
#define CONDLORA_CLI_COMMAND_H

#include "condlora/status.h"

/* Each takes the arguments after its name. A failure has left its line in cdl_error_message(). */
cdl_status cli_train(int count, char **arguments);
cdl_status cli_eval(int count, char **arguments);
cdl_status cli_predict(int count, char **arguments);
cdl_status cli_tokenize(int count, char **arguments);
cdl_status cli_inspect(int count, char **arguments);
cdl_status cli_export(int count, char **arguments);
cdl_status cli_merge(int count, char **arguments);
cdl_status cli_reproduce(int count, char **arguments);
cdl_status cli_search(int count, char **arguments);
cdl_status cli_analyze(int count, char **arguments);
cdl_status cli_backends(int count, char **arguments);

#endif
