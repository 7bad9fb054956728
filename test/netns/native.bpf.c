// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Small programs for the tests of the addon: each shows one thing that user space can see. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#define TC_NEXT -1 /* TCX_NEXT: whoever comes after decides */
#define TC_OK 0
#define ROOM 64

const volatile __u32 cfg_answer = 1;
const volatile __u64 cfg_wide = 2;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} words SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_RINGBUF);
		__uint(max_entries, 4096);
	});
} rings SEC(".maps");

static __always_inline void count(__u32 index)
{
	__u32 *n = bpf_map_lookup_elem(&seen, &index);

	if (n)
		(*n)++;
}

/* Entry 0 of `seen`; then its neighbour's turn. */
SEC("tc")
int first(struct __sk_buff *skb)
{
	(void)skb;
	count(0);
	return TC_NEXT;
}

/* Entry 1 of `seen`. */
SEC("tc")
int second(struct __sk_buff *skb)
{
	(void)skb;
	count(1);
	return TC_OK;
}

/* Entry 3 of `seen`; then its neighbour's turn. */
SEC("tc")
int third(struct __sk_buff *skb)
{
	(void)skb;
	count(3);
	return TC_NEXT;
}

/* What test runs give and take: the mark doubles, the first byte grows, the answer is the setting. */
SEC("tc")
int change(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data;

	if (data + 1 > (__u8 *)(long)skb->data_end)
		return 0;
	(*data)++;
	skb->mark *= 2;
	return cfg_answer + (int)cfg_wide;
}

SEC("xdp.frags")
int pass(struct xdp_md *ctx)
{
	(void)ctx;
	count(2);
	return XDP_PASS;
}

/* Two records a run: one submitted, of the length in the first byte, one thrown away. */
SEC("tc")
int tell(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data;
	__u32 zero = 0;
	void *ring = bpf_map_lookup_elem(&rings, &zero);
	__u64 *record;

	if (!ring || data + 1 > (__u8 *)(long)skb->data_end)
		return 0;
	record = bpf_ringbuf_reserve(ring, 16, 0);
	if (!record)
		return 0;
	record[0] = *data;
	record[1] = skb->mark;
	bpf_ringbuf_submit(record, 0);
	record = bpf_ringbuf_reserve(ring, 8, 0);
	if (record)
		bpf_ringbuf_discard(record, 0);
	return 1;
}

struct sum {
	__u64 a;
	__u64 b;
	__u64 sum;
};

/* A syscall program's context comes back changed. */
SEC("syscall")
int add(struct sum *ctx)
{
	ctx->sum = ctx->a + ctx->b;
	return 7;
}

/* Entry 0 of `words`, read through the map. */
SEC("syscall")
int peek(struct sum *ctx)
{
	__u32 zero = 0;
	__u64 *word = bpf_map_lookup_elem(&words, &zero);

	if (word)
		ctx->sum = *word;
	return 0;
}

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
} __attribute__((preserve_access_index));

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
} __attribute__((preserve_access_index));

/* Writes each key and value of a map out, as they are. */
SEC("iter/bpf_map_elem")
int walk(struct bpf_iter__bpf_map_elem *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct {
		__u32 key;
		__u32 value;
	} out;
	__u32 *key = ctx->key;
	__u64 *value = ctx->value;

	if (!key || !value)
		return 0;
	out.key = *key;
	out.value = (__u32)*value;
	bpf_seq_write(seq, &out, sizeof(out));
	return 0;
}

/* Refused: it reads what it has not checked. */
SEC("tc")
int broken(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data;

	return data[ROOM];
}

char _license[] SEC("license") = "Dual BSD/GPL";
