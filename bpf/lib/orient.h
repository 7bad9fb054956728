/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which way a packet without a record travels on its connection (HF-3.7): flags come before sockets, and
 * sockets before the direction in which it is seen.
 */
#ifndef MERLON_ORIENT_H
#define MERLON_ORIENT_H

#include "control.h"
#include "packet.h"
#include "proof.h"
#include "sock.h"

static __always_inline bool subject_is_present(const struct packet *pkt, __u32 i)
{
	return pkt->subject[i].flags & SUBJECT_PRESENT;
}

/* Which way a TCP packet without record travels; more than that the flags and sockets do not tell. */
static __always_inline bool orient_tcp(struct __sk_buff *skb, struct packet *pkt)
{
	__u32 dir = subject_dir(pkt, SUBJECT_HOST);
	int answer;

	if (pkt->tcp_flags & TCP_RST) { /* judged as an answer; never begins a flow */
		pkt->flags |= PKT_NO_RECORD;
		return true;
	}
	if (!subject_is_present(pkt, SUBJECT_HOST)) {
		if (pkt->tcp_flags & TCP_SYN)
			proof_note_reply(skb, pkt, 0, 0);
		return pkt->tcp_flags & TCP_SYN;
	}
	if (pkt->tcp_flags & TCP_SYN && dir == DIR_EGRESS) {
		proof_note_reply(skb, pkt, 0,
				 0); /* under SYN cookies nothing else stands behind it */
		return true;
	}
	answer = sock_orient_tcp(skb, pkt, dir);
	if (answer != SOCK_UNKNOWN) {
		pkt->flags |= PKT_SOCKET;
		count(STAT_FLOW_SEEDED, 1);
	}
	if (pkt->tcp_flags & TCP_SYN) {
		if (answer == SOCK_UNKNOWN)
			pkt->flags |= PKT_NO_RECORD; /* nobody here asked */
		return true;
	}
	if (answer == SOCK_INBOUND)
		return dir == DIR_EGRESS;
	if (answer == SOCK_OUTBOUND)
		return dir == DIR_INGRESS;
	return false;
}

/*
 * Is this datagram's port one that the node asks from? Then who began is asked of its sockets even where the
 * datagram may pass: a record of the wrong orientation would be refused once policy changes, and for as long
 * as both ends go on. Ports of services cost no lookup.
 */
static __always_inline bool port_asks(const struct packet *pkt)
{
	__u16 port = bpf_ntohs(pkt->dport);

	return pkt->proto == IPPROTO_UDP && port >= cfg_local_port_first &&
	       port <= cfg_local_port_last;
}

/* A datagram refused as new may still answer a connected socket that we have no record of. */
static __always_inline bool answers_udp_socket(struct __sk_buff *skb, struct packet *pkt)
{
	__u32 dir = subject_dir(pkt, SUBJECT_HOST);

	if (pkt->proto != IPPROTO_UDP || pkt->flags & PKT_NO_PORTS || dir != DIR_INGRESS ||
	    !subject_is_present(pkt, SUBJECT_HOST))
		return false;
	if (sock_orient_udp(skb, pkt, dir) != SOCK_OUTBOUND)
		return false;
	pkt->flags |= PKT_SOCKET;
	count(STAT_FLOW_SEEDED, 1);
	return true;
}

/* Does a datagram of the node's without record answer a peer, from a server's socket connected to it? */
static __always_inline bool answers_udp_peer(struct __sk_buff *skb, struct packet *pkt)
{
	__u32 dir = subject_dir(pkt, SUBJECT_HOST);

	if (pkt->flags & PKT_NO_PORTS || dir != DIR_EGRESS ||
	    !subject_is_present(pkt, SUBJECT_HOST) || !udp_port_serves(pkt->sport) ||
	    sock_orient_udp(skb, pkt, dir) != SOCK_INBOUND)
		return false;
	pkt->flags |= PKT_SOCKET;
	count(STAT_FLOW_SEEDED, 1);
	return true;
}

#endif
