/* Attention and its gradient as products and softmax, one sequence after another. */
#ifndef CONDLORA_BACKENDS_CORE_COMPOSE_ATTENTION_H
#define CONDLORA_BACKENDS_CORE_COMPOSE_ATTENTION_H

#include "condlora/backend.h"

cdl_status core_compose_attention(cdl_queue *queue, const cdl_attention_args *args);
cdl_status core_compose_attention_grad(cdl_queue *queue, const cdl_attention_grad_args *args);

#endif
