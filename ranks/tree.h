/* Sums over shards in one fixed binary tree: pairs of shards (0, 1), (2, 3), …, then pairs of
 * pairs, and so on; one without a partner passes up unchanged. The sum of S shards has the same
 * bits whoever adds which part of the tree.
 *
 * Whoever has neighbouring shards adds them in order, and keeps the nodes that need no shard of
 * another: at most two for each level. Nodes of several holders, in the order of their shards, are
 * added in the same way, until the root is left. */
#ifndef CONDLORA_RANKS_TREE_H
#define CONDLORA_RANKS_TREE_H

#include <stddef.h>

#include "condlora/status.h"

/* The shards [begin, end) of `shards`. */
typedef struct {
  int begin, end;
} ranks_node;

enum { RANKS_NODES_MAX = 64 };

/* Writes the nodes that remain of the shards [begin, end), in order, and returns their number; at
 * most RANKS_NODES_MAX. */
int ranks_tree_nodes(int shards, int begin, int end, ranks_node nodes[RANKS_NODES_MAX]);

/* Nodes under way. Each has `numbers` floats. */
typedef struct {
  int shards, count, made;
  size_t numbers;
  ranks_node node[RANKS_NODES_MAX];
  float *values[RANKS_NODES_MAX]; /* [count] are in use, [made] are allocated */
} ranks_tree;

/* An empty tree. It allocates when nodes are added and keeps that memory until its release. */
void ranks_tree_begin(ranks_tree *tree, int shards, size_t numbers);
/* Empties it for the next sum. */
void ranks_tree_restart(ranks_tree *tree);
void ranks_tree_release(ranks_tree *tree);

/* Adds the node that follows those added so far; `values` [numbers] is copied. Errors: MEMORY. */
CDL_MUST_USE cdl_status ranks_tree_add(ranks_tree *tree, ranks_node node, const float *values);
/* Returns the sum [numbers] of all shards once all are added, else NULL. Borrowed until the next
 * restart. */
const float *ranks_tree_sum(const ranks_tree *tree);

#endif
