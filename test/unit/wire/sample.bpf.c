// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Source of sample.bpf.o, which the tests of the BTF reader read:
 * clang-19 --target=bpf -mcpu=v3 -g -O2 -I/usr/include/x86_64-linux-gnu -fdebug-compilation-dir=. -c sample.bpf.c -o sample.bpf.o
 * llvm-strip-19 -g sample.bpf.o */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

enum colour {
	COLOUR_DARK_RED = 1,
	COLOUR_DARK_BLUE = 7,
};

struct inner {
	__be16 port;
	__u8 mac[6];
};

struct sample {
	__u64 wide;
	__s32 small;
	__be32 addr;
	struct inner inner[2];
	__u32 counts[3];
	__u16 many[10];
	union {
		__be32 v4;
		__u8 v6[16];
	};
	__u8 pad[8];
};

struct bits {
	__u32 a : 3;
	__u32 b : 29;
};

struct hole {
	__u8 a;
	__u32 b;
};

struct pointing {
	struct inner *to;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 77);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct inner);
	__type(value, __u64);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_RINGBUF);
		__uint(max_entries, 4096);
	});
} rings SEC(".maps");

const volatile __u32 cfg_one = 1;
struct sample *see_sample;
struct bits *see_bits;
struct hole *see_hole;
struct pointing *see_pointing;
enum colour see_colour;

__attribute__((noinline)) int helper(__u32 n)
{
	return n + cfg_one;
}

SEC("tc")
int main_program(struct __sk_buff *skb)
{
	return helper(skb->len);
}
