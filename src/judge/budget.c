/* budget.c - what a run may pay: calls and money. What is on its way counts with the most that it can cost, so that the bound holds with many requests at once. */
#include "judge/endpoint.h"

#include <string.h>

/* No byte-level tokenizer makes more tokens than bytes: digits and rare characters are a token each in some. */
enum { BYTES_A_TOKEN = 1, CHARACTERS_A_TOKEN = 4 };

double budget_price(const struct budget *b, double tokens_in, double tokens_out) { return (tokens_in * b->price_in + tokens_out * b->price_out) / 1e6; }

bool budget_reserve(struct budget *b, double *reserved, size_t request_bytes, int64_t most_tokens)
{
    *reserved = budget_price(b, (double)request_bytes / BYTES_A_TOKEN, (double)most_tokens);
    if (b->most_calls && b->calls + b->reserved_calls >= b->most_calls) return false;
    if (b->most_cost > 0 && b->cost + b->reserved + *reserved > b->most_cost) return false;
    b->reserved += *reserved;
    b->reserved_calls++;
    return true;
}

/* A server that does not tell tokens is reckoned by characters. A text NULL: its tokens are known. */
void budget_settle(struct budget *b, double reserved, size_t request_bytes, const struct reply *r)
{
    b->reserved -= reserved;
    b->reserved_calls--;
    if (!r) return;
    int64_t in = r->tokens_in >= 0 ? r->tokens_in : (int64_t)(request_bytes / CHARACTERS_A_TOKEN);
    int64_t out = r->tokens_out >= 0 ? r->tokens_out : (int64_t)(utf8_count(r->text, strlen(r->text)) / CHARACTERS_A_TOKEN);
    b->calls++;
    b->tokens_in += in;
    b->tokens_out += out;
    b->cost += budget_price(b, (double)in, (double)out);
}
