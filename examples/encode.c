/* Prints the token ids of a sentence from a model's tokenizer:  encode MODEL "a sentence" ["its
 * pair"] */
#include <condlora/condlora.h>
#include <stdio.h>
#include <string.h>

static cdl_status print_tokens(const cdl_tokenizer *tokenizer, const char *first,
                               const char *second)
{
  cdl_encoding encoding;
  memset(&encoding, 0, sizeof encoding);
  const cdl_status status = cdl_tokenizer_encode(tokenizer, first, strlen(first), second,
                                                 second != NULL ? strlen(second) : 0, 0, &encoding);
  for (size_t i = 0; status == CDL_STATUS_OK && i < encoding.count; i++)
    printf("%6d  %d  %s\n", encoding.ids[i], encoding.type_ids[i],
           cdl_tokenizer_token(tokenizer, encoding.ids[i]));
  cdl_encoding_release(&encoding);
  return status;
}

int main(int argc, char **argv)
{
  if (argc < 3) {
    fprintf(stderr, "usage: encode MODEL TEXT [TEXT]\n");
    return 2;
  }
  cdl_tokenizer *tokenizer;
  cdl_status status = cdl_tokenizer_open(argv[1], &tokenizer);
  if (status == CDL_STATUS_OK) {
    status = print_tokens(tokenizer, argv[2], argc > 3 ? argv[3] : NULL);
    cdl_tokenizer_close(tokenizer);
  }
  if (status != CDL_STATUS_OK)
    fprintf(stderr, "encode: %s\n", cdl_error_message());
  return status != CDL_STATUS_OK;
}
