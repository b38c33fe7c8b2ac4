#include "ranks/tree.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int least(int a, int b)
{
  return a < b ? a : b;
}

/* The node that holds `node` and its sibling. */
static ranks_node parent_of(ranks_node node, int shards)
{
  int width = 1;
  while (node.begin % (2 * width) == 0 && node.begin + width < node.end)
    width *= 2;
  const int begin = node.begin / (2 * width) * (2 * width);
  return (ranks_node){begin, least(begin + 2 * width, shards)};
}

/* Whether `right` completes the parent of `left`. The node of a lone left child equals its parent,
 * so two siblings are those that share one when they have risen as far as each can alone. */
static bool are_siblings(ranks_node left, ranks_node right, int shards)
{
  const ranks_node parent = parent_of(left, shards);
  return left.end == right.begin && parent.begin == left.begin && parent.end == right.end;
}

static int push(ranks_node *nodes, int count, ranks_node node, int shards)
{
  nodes[count++] = node;
  while (count > 1 && are_siblings(nodes[count - 2], nodes[count - 1], shards)) {
    nodes[count - 2].end = nodes[count - 1].end;
    count--;
  }
  return count;
}

int ranks_tree_nodes(int shards, int begin, int end, ranks_node nodes[RANKS_NODES_MAX])
{
  int count = 0;
  for (int s = begin; s < end; s++)
    count = push(nodes, count, (ranks_node){s, s + 1}, shards);
  return count;
}

/* ---- Sums ---- */

void ranks_tree_begin(ranks_tree *tree, int shards, size_t numbers)
{
  *tree = (ranks_tree){.shards = shards, .numbers = numbers};
}

void ranks_tree_restart(ranks_tree *tree)
{
  tree->count = 0;
}

void ranks_tree_release(ranks_tree *tree)
{
  for (int i = 0; i < tree->made; i++)
    free(tree->values[i]);
  *tree = (ranks_tree){0};
}

cdl_status ranks_tree_add(ranks_tree *tree, ranks_node node, const float *values)
{
  int at = tree->count;
  if (at == tree->made) {
    tree->values[at] = malloc((tree->numbers + 1) * sizeof(float));
    if (tree->values[at] == NULL)
      return cdl_fail(CDL_STATUS_MEMORY, "out of memory: the sums of %d shards", tree->shards);
    tree->made++;
  }
  memcpy(tree->values[at], values, tree->numbers * sizeof *values);
  tree->count = push(tree->node, tree->count, node, tree->shards);
  for (; at >= tree->count; at--) { /* each pair that was joined, from the last */
    float *left = tree->values[at - 1];
    const float *right = tree->values[at];
    for (size_t i = 0; i < tree->numbers; i++)
      left[i] += right[i];
  }
  return CDL_STATUS_OK;
}

const float *ranks_tree_sum(const ranks_tree *tree)
{
  return tree->count == 1 && tree->node[0].begin == 0 && tree->node[0].end == tree->shards
             ? tree->values[0]
             : NULL;
}
