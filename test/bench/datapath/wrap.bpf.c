// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What stands before the measured program in a test run: makes each repetition's packet one of many flows,
 * then tail-calls the program. The same wrapper before an empty program is what gets subtracted.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

/* Which flow the next packet belongs to; user space writes it between runs. */
struct walk {
	__u64 random_state;
	__u32 position; /* of an ordered walk */
	__u32 flows;    /* walks turn round there */
	__u32 is_random;
	__u32 is_peer_source; /* the peer, which changes, is the packet's source */
	__u32 first_address;  /* host order; of IPv6 the last 32 bits */
	__u32 port_bits;      /* so many flows share an address, with different ports */
};

struct walk walk;

static __always_inline __u32 next_flow(void)
{
	__u32 at;

	if (walk.is_random) {
		walk.random_state =
			walk.random_state * 6364136223846793005ULL + 1442695040888963407ULL;
		return (walk.random_state >> 32) * walk.flows >> 32;
	}
	at = walk.position + 1;
	walk.position = at < walk.flows ? at : 0;
	return walk.position;
}

#define FIRST_PORT 1024

static __always_inline __be16 port_of(__u32 flow)
{
	return bpf_htons(FIRST_PORT + (flow & ((1U << walk.port_bits) - 1)));
}

static __always_inline __be32 address_of(__u32 flow)
{
	return bpf_htonl(walk.first_address + (flow >> walk.port_bits));
}

SEC("tc")
int wrap_plain(struct __sk_buff *skb)
{
	bpf_tail_call_static(skb, &target, 0);
	return TC_ACT_PIPE; /* no program there: no measurement */
}

SEC("tc")
int wrap_flows4(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	__be16 *port = (void *)(ip + 1);
	__u32 flow = next_flow();

	if ((void *)(port + 2) > end)
		return TC_ACT_PIPE;
	if (walk.is_peer_source) {
		ip->saddr = address_of(flow);
		port[0] = port_of(flow);
	} else {
		ip->daddr = address_of(flow);
		port[1] = port_of(flow);
	}
	bpf_tail_call_static(skb, &target, 0);
	return TC_ACT_PIPE;
}

SEC("tc")
int wrap_flows6(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ipv6hdr *ip = data + ETH_HLEN;
	__be16 *port = (void *)(ip + 1);
	__u32 flow = next_flow();

	if ((void *)(port + 2) > end)
		return TC_ACT_PIPE;
	if (walk.is_peer_source) {
		ip->saddr.s6_addr32[3] = address_of(flow);
		port[0] = port_of(flow);
	} else {
		ip->daddr.s6_addr32[3] = address_of(flow);
		port[1] = port_of(flow);
	}
	bpf_tail_call_static(skb, &target, 0);
	return TC_ACT_PIPE;
}
