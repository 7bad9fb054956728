/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Inbound records without proof (HF-3.2), in tables of our own: an insertion into the kernel's LRU costs more than
 * all else that is done for a new connection. A record stands in any of the places of one set; a new one takes
 * an empty place, else that of the record that was asked for longest ago. A miss costs one cache line, and
 * records are written where they stay.
 *
 * Whoever fills a place claims its word first and publishes it last; whoever finds a record marks its word, too.
 * Both are atomic and full barriers: what is read of a place was written before it was published. As in the
 * kernel's LRU, a place may be given away while a packet still works on what it has just found there.
 */
#ifndef MERLON_UNPROVEN_H
#define MERLON_UNPROVEN_H

#include "ct.h"
#include "packet.h"
#include "time.h"

#define UNPROVEN_TAG(hash) ((__u32)(hash) | 1)

static __always_inline __u32 unproven_now(void)
{
	return (__u32)now_jiffies() | 1;
}

/* Where the record of the key in this CPU's room may stand. */
static __always_inline struct unproven_set *unproven_set_get(__u64 hash, bool is_v6)
{
	__u32 at = (hash >> 32) * cfg_unproven_sets >> 32;

	return is_v6 ? bpf_map_lookup_elem(&unproven6, &at) : bpf_map_lookup_elem(&unproven4, &at);
}

static __always_inline bool unproven_has_key(const struct unproven *place,
					     const struct flow_scratch *scratch, bool is_v6)
{
	const __u64 *a = (const void *)&place->key6, *b = (const void *)&scratch->key6;
	__u64 differs = (a[0] ^ b[0]) | (a[1] ^ b[1]);

	if (is_v6)
		differs |= (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4]);
	return !differs;
}

/*
 * The place of the record of the key in this CPU's room, counted from 1; 0 = none. It has been asked for now, or
 * is emptied.
 */
__noinline int unproven_find(__u32 is_v6, __u32 is_emptied)
{
	struct flow_scratch *scratch = scratch_get();
	struct unproven_set *set;
	__u64 word, then;
	__u32 tag;

	if (!scratch)
		return 0;
	set = unproven_set_get(scratch->hash, is_v6);
	if (!set)
		return 0;
	tag = UNPROVEN_TAG(scratch->hash);
	then = is_emptied ? 0 : (__u64)tag << 32 | unproven_now();
	for (int i = 0; i < UNPROVEN_WAYS; i++) {
		word = *(volatile __u64 *)&set->word[i];
		if (word >> 32 == tag && unproven_has_key(&set->place[i], scratch, is_v6) &&
		    __sync_val_compare_and_swap(&set->word[i], word, then) == word)
			return i + 1;
	}
	return 0;
}

/* As unproven_find: the record. */
static __always_inline struct unproven *unproven_lookup(const struct flow_scratch *scratch,
							bool is_v6)
{
	__u32 way = unproven_find(is_v6, false);
	struct unproven_set *set;

	if (!way)
		return NULL;
	set = unproven_set_get(scratch->hash, is_v6);
	if (!set)
		return NULL;
	barrier_var(set); /* no arithmetic before that */
	return &set->place[(way - 1) % UNPROVEN_WAYS];
}

/* Which place a new record takes: that of its like, an empty one, the one that was asked for longest ago. */
static __always_inline __u32 unproven_choose(const struct unproven_set *set, __u32 tag, __u32 now)
{
	__u64 word, age, most = 0; /* the place's number stands below its age */

	for (int i = 0; i < UNPROVEN_WAYS; i++) {
		word = *(volatile __u64 *)&set->word[i];
		age = word && word >> 32 != tag ? now - (__u32)word : ~0U;
		age = age << 32 | i;
		if (age > most)
			most = age;
	}
	return most % UNPROVEN_WAYS;
}

/* Makes the record of this packet's connection, unless another CPU is just taking the same place. */
__noinline int unproven_create(struct packet *pkt, __u32 is_reply)
{
	struct flow_scratch *scratch = scratch_get();
	struct unproven_set *set;
	struct unproven *place;
	__u32 tag, now, way;
	__u64 word;

	if (!pkt || !scratch)
		return 0;
	set = unproven_set_get(scratch->hash, pkt->family != 4);
	if (!set)
		return 0;
	tag = UNPROVEN_TAG(scratch->hash);
	now = unproven_now();
	way = unproven_choose(set, tag, now);
	word = *(volatile __u64 *)&set->word[way];
	if (__sync_val_compare_and_swap(&set->word[way], word, now) != word)
		return 0;
	place = &set->place[way];
	place->key6 = scratch->key6;
	pkt->flow = flow_number(scratch);
	flow_write(&place->flow, pkt, is_reply);
	place->resp_first = pkt->resp_first;
	place->resp_end = pkt->resp_end;
	__sync_lock_test_and_set(&set->word[way], (__u64)tag << 32 | now);
	return 0;
}

#endif
