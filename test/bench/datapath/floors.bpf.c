// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What single kernel operations cost on the machine at hand: the floor under every figure of the datapath.
 * The programs are fixed; their instruction counts are goldens, so that floors of two runs mean the same.
 * Cheap operations stand sixteen times in a row, for precision; what waits for memory stands once, as in a
 * packet's way.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Layouts of a flow record's key and value in both families, of an address, and of an unproven record. */
struct key4 {
	__u32 addr[2];
	__u16 port[2];
	__u32 rest;
};

struct key6 {
	__u32 addr[8];
	__u16 port[2];
	__u32 rest;
};

struct value4 {
	__u64 words[16];
};

struct value6 {
	__u64 words[13];
};

struct value_lru {
	__u64 words[14];
};

struct value_addr {
	__u64 words[4];
};

#define TABLE(map_type, map_name, k, v, n)             \
	struct {                                       \
		__uint(type, BPF_MAP_TYPE_##map_type); \
		__uint(max_entries, n);                \
		__type(key, k);                        \
		__type(value, v);                      \
	} map_name SEC(".maps")

TABLE(HASH, table4, struct key4, struct value4, 524288);
TABLE(HASH, table6, struct key6, struct value6, 524288);
TABLE(HASH, addresses, __u32, struct value_addr, 131072);
TABLE(LRU_HASH, lru4, struct key4, struct value_lru, 65536);
TABLE(LRU_HASH, lru6, struct key6, struct value_lru, 65536);
TABLE(ARRAY, words, __u32, __u64, 65536);
TABLE(PERCPU_ARRAY, counters, __u32, __u64, 64);

struct prefix4 {
	__u32 length;
	__u32 addr;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct prefix4);
	__type(value, struct value_addr);
} prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 25);
} ring SEC(".maps");

/* Written by user space: how many keys the tables hold. */
const volatile __u32 entries = 100000;

__u64 random_state = 1;
__u32 sequence;
/* Operations that did not do what they are to measure. */
__u64 failures;

static __always_inline __u32 random_below(__u32 bound)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (random_state >> 32) * bound >> 32;
}

#define KEY4(n) { .addr = { (n), 0x0a000001 }, .port = { 80, 1024 }, .rest = 6 }
#define KEY6(n) { .addr = { 1, 2, 3, (n), 5, 6, 7, 8 }, .port = { 80, 1024 }, .rest = 6 }

#define SIXTEEN(body)                                  \
	_Pragma("unroll") for (int i = 0; i < 16; i++) \
	{                                              \
		body;                                  \
	}

#define FLOOR(name) SEC("tc") int name(__attribute__((unused)) struct __sk_buff *skb)

FLOOR(empty)
{
	return TC_ACT_UNSPEC;
}

FLOOR(hash_hit_16)
{
	struct key4 key = KEY4(1);

	SIXTEEN(if (!bpf_map_lookup_elem(&table4, &key)) failures++)
	return TC_ACT_UNSPEC;
}

FLOOR(hash_hit_40)
{
	struct key6 key = KEY6(1);

	SIXTEEN(if (!bpf_map_lookup_elem(&table6, &key)) failures++)
	return TC_ACT_UNSPEC;
}

FLOOR(hash_hit_4)
{
	__u32 key = 1;

	SIXTEEN(if (!bpf_map_lookup_elem(&addresses, &key)) failures++)
	return TC_ACT_UNSPEC;
}

FLOOR(hash_miss_16)
{
	struct key4 key = KEY4(0xffffffff);

	SIXTEEN(if (bpf_map_lookup_elem(&table4, &key)) failures++)
	return TC_ACT_UNSPEC;
}

/* A lookup anywhere in the table; with `body`, what an established packet does with what it found. */
#define RANDOM(name, key_type, key_of, table, value_type, body)               \
	FLOOR(name)                                                           \
	{                                                                     \
		struct key_type key = key_of(random_below(entries));          \
		struct value_type *value = bpf_map_lookup_elem(&table, &key); \
		if (value) {                                                  \
			body;                                                 \
		} else {                                                      \
			failures++;                                           \
		}                                                             \
		return TC_ACT_UNSPEC;                                         \
	}

/* Reads the first line, writes the counters. */
#define USE(value)                                                                 \
	((value)->words[4] = (value)->words[0] + 1, (value)->words[5] += skb->len, \
	 (value)->words[7] += 1)

RANDOM(hash_random_16, key4, KEY4, table4, value4, )
RANDOM(hash_random_40, key6, KEY6, table6, value6, )
RANDOM(hash_random_16_write, key4, KEY4, table4, value4, USE(value))
RANDOM(hash_random_40_write, key6, KEY6, table6, value6, USE(value))

FLOOR(lru_insert_16)
{
	struct key4 key = KEY4(sequence++);
	struct value_lru value = {};

	if (bpf_map_update_elem(&lru4, &key, &value, BPF_ANY))
		failures++;
	return TC_ACT_UNSPEC;
}

FLOOR(lru_insert_40)
{
	struct key6 key = KEY6(sequence++);
	struct value_lru value = {};

	if (bpf_map_update_elem(&lru6, &key, &value, BPF_ANY))
		failures++;
	return TC_ACT_UNSPEC;
}

FLOOR(hash_insert_delete_16)
{
	struct key4 key = KEY4(0x80000000 | sequence++);
	struct value4 value = {};

	if (bpf_map_update_elem(&table4, &key, &value, BPF_NOEXIST) ||
	    bpf_map_delete_elem(&table4, &key))
		failures++;
	return TC_ACT_UNSPEC;
}

FLOOR(array_lookup)
{
	__u64 sum = 0;

	SIXTEEN(__u32 key = (skb->len + i * 64) & 0xffff;
		__u64 *value = bpf_map_lookup_elem(&words, &key); if (value) sum += *value)
	if (sum)
		failures++;
	return TC_ACT_UNSPEC;
}

FLOOR(percpu_count)
{
	SIXTEEN(__u32 key = i; __u64 *value = bpf_map_lookup_elem(&counters, &key);
		if (value) *value += skb->len)
	return TC_ACT_UNSPEC;
}

FLOOR(ring_submit_64)
{
	__u64 *record = bpf_ringbuf_reserve(&ring, 64, 0);

	if (!record) {
		failures++;
		return TC_ACT_UNSPEC;
	}
	record[0] = skb->len;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return TC_ACT_UNSPEC;
}

FLOOR(ring_submit_96)
{
	__u64 *record = bpf_ringbuf_reserve(&ring, 96, 0);

	if (!record) {
		failures++;
		return TC_ACT_UNSPEC;
	}
	record[0] = skb->len;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return TC_ACT_UNSPEC;
}

/* The cheapest real helper call. */
FLOOR(helper_call)
{
	__u64 sum = 0;

	SIXTEEN(sum += bpf_ktime_get_coarse_ns())
	if (!sum)
		failures++;
	return TC_ACT_UNSPEC;
}

FLOOR(ktime)
{
	__u64 sum = 0;

	SIXTEEN(sum += bpf_ktime_get_ns())
	if (!sum)
		failures++;
	return TC_ACT_UNSPEC;
}

__noinline int called(struct __sk_buff *skb)
{
	asm volatile(""); /* else the compiler sees through it */
	return skb->len & 1;
}

FLOOR(subprogram_call)
{
	int sum = 0;

	SIXTEEN(sum += called(skb))
	if (sum > 16)
		failures++;
	return TC_ACT_UNSPEC;
}

/* A /10 among few prefixes, as the peers of the scenarios are known. */
FLOOR(lpm_hit)
{
	struct prefix4 key = { .length = 32, .addr = bpf_htonl(0x0a400001) };

	SIXTEEN(if (!bpf_map_lookup_elem(&prefixes, &key)) failures++)
	return TC_ACT_UNSPEC;
}

/* A route that the machine has. */
FLOOR(fib_lookup)
{
	struct bpf_fib_lookup fib = {
		.family = 2,
		.ifindex = skb->ifindex,
		.ipv4_src = bpf_htonl(0xc6336401),
		.ipv4_dst = bpf_htonl(0xcb007109),
	};

	if (bpf_fib_lookup(skb, &fib, sizeof(fib), BPF_FIB_LOOKUP_SKIP_NEIGH))
		failures++;
	return TC_ACT_UNSPEC;
}
