/* grammar_internal.h - between the files of this folder.
 *
 * GBNF, schemas and regular expressions become one kind of tree (struct node, made with a struct build), the tree becomes a
 * program (struct state), and matchers run the program. The tree speaks of code points, the program of bytes, so a token may
 * end in the middle of a character.
 *
 * Where a text can be is a set of pairs (state, stack of states to come back to): a configuration. Stacks and configurations
 * are kept once each (memo.c), so that two equal ones are one pointer, and a step is a lookup in the table of the configuration
 * before it. That is a deterministic automaton, made as far as it is walked. */
#ifndef GRAMMAR_INTERNAL_H
#define GRAMMAR_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "grammar/grammar.h"

/* ---- grammar_build.c: trees ----------------------------------------------------------------------------------------- */

enum { TEXT_BYTES_MAX = 256 << 10, NESTING_MAX = 64, NODES_MAX = 1 << 18, STATES_MAX = 1 << 18, REPEAT_MAX = 1 << 16 };
enum { CODE_POINT_MAX = 0x10FFFF };
#define REPEAT_FOREVER UINT32_MAX

enum node_kind { NODE_EMPTY, NODE_TEXT, NODE_CLASS, NODE_SEQUENCE, NODE_CHOICE, NODE_REPEAT, NODE_RULE };
struct code_range { uint32_t lo, hi; };     /* both belong to it */
struct node {
    enum node_kind kind;
    uint32_t n;                             /* bytes, ranges or children; NODE_RULE: number of the rule */
    uint32_t min, max;                      /* NODE_REPEAT */
    union { const char *text; const struct code_range *range; const struct node **child; };
};

struct rule { const char *name; size_t name_len; const struct node *body; };    /* body NULL: not defined yet */
/* Making nodes cannot fail; beyond NODES_MAX they are empty and is_full stays true, which build_finish refuses. */
struct build { struct arena arena; struct rule *rule; size_t n_rules, rules_cap; size_t n_nodes; bool is_full; };
void build_init(struct build *b);
void build_release(struct build *b);
uint32_t build_rule(struct build *b, const char *name, size_t len);      /* a new one; the name is copied */
const struct node *node_empty(struct build *b);
const struct node *node_text(struct build *b, const char *bytes, size_t len);
/* Ranges in any order, touching or not; `is_negated`: all other code points. Surrogates are never in it. May be empty. */
const struct node *node_class(struct build *b, const struct code_range *range, size_t n, bool is_negated);
const struct node *node_sequence(struct build *b, const struct node *const *child, size_t n);
const struct node *node_choice(struct build *b, const struct node *const *child, size_t n);
const struct node *node_repeat(struct build *b, const struct node *child, uint32_t min, uint32_t max);
const struct node *node_rule(struct build *b, uint32_t rule);
/* For short lists: SEQUENCE(b, x, y, z). */
#define NODE_LIST_(...) (const struct node *const[]){ __VA_ARGS__ }, sizeof((const struct node *const[]){ __VA_ARGS__ }) / sizeof(struct node *)
#define SEQUENCE(b, ...) node_sequence((b), NODE_LIST_(__VA_ARGS__))
#define CHOICE(b, ...) node_choice((b), NODE_LIST_(__VA_ARGS__))
static inline const struct node *node_optional(struct build *b, const struct node *child) { return node_repeat(b, child, 0, 1); }
static inline const struct node *node_byte(struct build *b, char c) { return node_text(b, &c, 1); }

/* A growing list of nodes. */
struct node_list { const struct node **node; size_t n, cap; };
void node_list_push(struct node_list *l, const struct node *x);
void node_list_release(struct node_list *l);

/* Code points sorted, joined, without surrogates; returns how many ranges are left. `range` has room for 2 more. */
size_t ranges_normalize(struct code_range *range, size_t n);

/* ---- grammar_compile.c, grammar_check.c: programs --------------------------------------------------------------------- */

/* STATE_END is state 0 alone: back to the state on the stack. STATE_CALL: goes to a, and comes back to b (nothing is pushed
 * where b is 0). STATE_SPLIT: a or b. STATE_BYTE: one byte in lo..hi, then a. */
enum state_kind { STATE_END, STATE_BYTE, STATE_SPLIT, STATE_CALL };
struct state { uint8_t kind, lo, hi; uint32_t a, b; };
struct program { struct state *state; uint32_t n, start; uint8_t class_of[256], first_of[256]; uint32_t n_classes, class_size[256]; };

/* The grammar of rule `root`; releases nothing of `b`. `what` is what messages call it: "grammar", "schema". */
sc_status build_finish(struct grammar **out, struct build *b, uint32_t root, const char *what, sc_error *err);
/* start[r]: first state of rule r. Refuses rules that never end and left recursion. */
sc_status program_check(struct program *p, const struct build *b, const uint32_t *start, const char *what, sc_error *err);

struct grammar { atomic_int users; struct program program; pthread_mutex_t lock; struct memo *memos; };

/* ---- regex_grammar.c ---------------------------------------------------------------------------------------------------- */

/* `is_whole`: the pattern is the whole text, else it may stand anywhere in it (JSON schema's rule). `in_json`: the text is
 * written inside a JSON string, with escapes where JSON needs them. */
sc_status regex_parse(const struct node **out, struct build *b, const char *pattern, size_t len, bool is_whole, bool in_json, const char *what, sc_error *err);

/* ---- token_tree.c --------------------------------------------------------------------------------------------------------- */

/* Nodes in the order of a walk from the root, children by rising byte. Tokens are sorted by bytes, so those of a node and of all
 * below it are order[token .. node[skip].token). */
struct tree_node { uint32_t skip, token; uint16_t depth; uint8_t byte; uint8_t plain_height; };
/* plain_height: levels below this node if all bytes below are plain (tree_is_plain); NOT_PLAIN otherwise. */
enum { NOT_PLAIN = 255, DEPTH_MAX = 4096, PLAIN_LEN_MAX = 32 };
struct token_tree {
    struct tree_node *node; uint32_t n_nodes, depth; int32_t *order; uint32_t n_tokens;
    const struct tokenizer *tokenizer; size_t vocab, words;
    uint64_t *plain; struct token_tree *mixed;      /* tokens of at most PLAIN_LEN_MAX plain bytes, and a tree of the others */
};
static inline bool tree_is_plain(unsigned byte) { return byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\'; }

/* ---- memo.c, mask.c ---------------------------------------------------------------------------------------------------------------- */

struct place { uint32_t state, stack; };
struct configuration {
    struct configuration *chain;            /* in the table of all */
    uint64_t hash;
    uint64_t *mask;                         /* NULL until asked for */
    uint32_t *exits, n_exits;               /* nodes of the tree where the stack of these places may be left; NULL until asked for */
    const struct place *place; uint32_t n;  /* states that wait for a byte, sorted */
    bool may_end; int16_t run;              /* run: steps with plain bytes that cannot fail, -1: not known yet */
    struct configuration *next[];           /* by class of byte; NULL: not known yet; &no_way: none */
};
extern struct configuration no_way;

struct memo;
/* All of these want the grammar's lock. */
struct memo *memo_for(struct grammar *g, const struct token_tree *t);
void memo_free_all(struct grammar *g);
/* A configuration that stays known when the memo begins anew: registered by its address. */
struct root { struct root *before, *after; struct configuration *at; };
void memo_keep(struct memo *m, struct root *r, struct configuration *at);
void memo_drop(struct memo *m, struct root *r);
struct configuration *memo_start(struct memo *m);
struct configuration *memo_step(struct memo *m, struct configuration *c, uint8_t byte);   /* &no_way: the byte cannot come */
/* Forgets all but the roots when too much is remembered. Pointers to configurations are those of roots afterwards. */
void memo_trim(struct memo *m);
/* Tokens that may come behind r->at, t->words words. */
const uint64_t *memo_mask(struct memo *m, struct root *r);

#endif
