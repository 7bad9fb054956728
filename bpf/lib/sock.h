/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets are the truth (HF-3.7): what the flow table forgot, or never saw, the kernel's socket tables
 * know. Flags come before sockets.
 */
#ifndef MERLON_SOCK_H
#define MERLON_SOCK_H

#include "packet.h"

/* States of bpf_sock.state. */
#define SOCK_ESTABLISHED 1
#define SOCK_LISTEN 10
#define SOCK_NEW_SYN_RECV 12

enum sock_answer {
	SOCK_UNKNOWN = 0,  /* nothing to go by */
	SOCK_INBOUND = 1,  /* the peer began */
	SOCK_OUTBOUND = 2, /* the node began */
};

static __always_inline __u32 sock_tuple(struct bpf_sock_tuple *tuple, const struct packet *pkt,
					bool is_ingress)
{
	const union address *peer = is_ingress ? &pkt->saddr : &pkt->daddr;
	const union address *own = is_ingress ? &pkt->daddr : &pkt->saddr;
	__be16 peer_port = is_ingress ? pkt->sport : pkt->dport;
	__be16 own_port = is_ingress ? pkt->dport : pkt->sport;

	if (pkt->family == 4) {
		tuple->ipv4.saddr = peer->w[3];
		tuple->ipv4.daddr = own->w[3];
		tuple->ipv4.sport = peer_port;
		tuple->ipv4.dport = own_port;
		return sizeof(tuple->ipv4);
	}
	__builtin_memcpy(tuple->ipv6.saddr, peer, 16);
	__builtin_memcpy(tuple->ipv6.daddr, own, 16);
	tuple->ipv6.sport = peer_port;
	tuple->ipv6.dport = own_port;
	return sizeof(tuple->ipv6);
}

/* State of the node's TCP socket for the tuple; 0 = none. */
static __always_inline __u32 sock_state_tcp(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
					    __u32 size)
{
	struct bpf_sock *sock = bpf_skc_lookup_tcp(skb, tuple, size, BPF_F_CURRENT_NETNS, 0);
	__u32 state;

	if (!sock)
		return 0;
	state = sock->state;
	bpf_sk_release(sock);
	return state;
}

/* Does any socket of the node's wait for strangers at this port? Only the agent knows. */
static __always_inline bool udp_port_serves(__be16 port)
{
	__u32 index = bpf_ntohs(port) / 64;
	__u64 *ports = bpf_map_lookup_elem(&udp_servers, &index);

	return ports && *ports >> (bpf_ntohs(port) % 64) & 1;
}

/* A connected UDP socket has asked, but at a port that serves it was asked. */
__noinline int sock_orient_udp(struct __sk_buff *skb, const struct packet *pkt, __u32 dir)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sock;
	__u32 size, state;

	if (!pkt)
		return SOCK_UNKNOWN;
	size = sock_tuple(&tuple, pkt, dir == DIR_INGRESS);
	sock = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sock)
		return SOCK_UNKNOWN;
	state = sock->state;
	bpf_sk_release(sock);
	if (state != SOCK_ESTABLISHED)
		return SOCK_UNKNOWN;
	return udp_port_serves(dir == DIR_INGRESS ? pkt->dport : pkt->sport) ? SOCK_INBOUND
									     : SOCK_OUTBOUND;
}

/* Who began the connection of this TCP packet, seen at the node (`dir`), by the node's own sockets. */
__noinline int sock_orient_tcp(struct __sk_buff *skb, const struct packet *pkt, __u32 dir)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size, state;

	if (!pkt)
		return SOCK_UNKNOWN;
	size = sock_tuple(&tuple, pkt, dir == DIR_INGRESS);
	state = sock_state_tcp(skb, &tuple, size);
	if (!state || state == SOCK_LISTEN || state == SOCK_NEW_SYN_RECV)
		return SOCK_UNKNOWN;

	if (pkt->family == 4) {
		tuple.ipv4.saddr = 0;
		tuple.ipv4.sport = 0;
	} else {
		__builtin_memset(tuple.ipv6.saddr, 0, 16);
		tuple.ipv6.sport = 0;
	}
	return sock_state_tcp(skb, &tuple, size) == SOCK_LISTEN ? SOCK_INBOUND : SOCK_OUTBOUND;
}

#endif
