/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Has the initiator received our answer (HF-3.2)? Our own answer proves nothing: the kernel answers every
 * spoofed SYN. For TCP an acknowledgement of what the responder sent does; else a packet after an answer.
 */
#ifndef MERLON_PROOF_H
#define MERLON_PROOF_H

#include "packet.h"

struct tcp_numbers {
	__be32 seq;
	__be32 ack;
	__u8 header; /* length in the upper four bits, 32-bit words */
	__u8 flags;
	__u8 pad[6];
};

/* Notes in pkt->resp_* how far the responder's sequence numbers go after this packet of its. */
static __always_inline void proof_note_reply(struct __sk_buff *skb, struct packet *pkt, __u32 first,
					     __u32 end)
{
	struct tcp_numbers tcp = {};
	__u32 next;

	pkt->resp_first = first;
	pkt->resp_end = end;
	/* A reset repeats the number that provoked it; a later fragment has none. */
	if (pkt->tcp_flags & TCP_RST || pkt->flags & PKT_FRAG_LATER ||
	    bpf_skb_load_bytes(skb, pkt->l4 + 4, &tcp, 10))
		return;
	next = bpf_ntohl(tcp.seq) + (pkt->length - pkt->l4 - (tcp.header >> 4) * 4);
	if (pkt->tcp_flags & TCP_SYN) {
		pkt->resp_first = bpf_ntohl(tcp.seq);
		pkt->resp_end = next + 1;
		return;
	}
	if (pkt->tcp_flags & TCP_FIN)
		next++;
	if (first != end && (__s32)(next - end) > 0)
		pkt->resp_end = next;
}

/* Does this packet of the initiator's acknowledge anything in (first, end]? */
static __always_inline bool proof_is_given(struct __sk_buff *skb, const struct packet *pkt,
					   __u32 first, __u32 end)
{
	struct tcp_numbers tcp = {};
	__u32 ack;

	if (first == end || !(pkt->tcp_flags & TCP_ACK) || pkt->tcp_flags & (TCP_RST | TCP_SYN) ||
	    pkt->flags & PKT_FRAG_LATER || bpf_skb_load_bytes(skb, pkt->l4 + 4, &tcp, 10))
		return false;
	ack = bpf_ntohl(tcp.ack);
	return (__s32)(ack - first) > 0 && (__s32)(ack - end) <= 0;
}

#endif
