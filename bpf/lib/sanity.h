/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets that no honest peer sends (HF-2.8, HF-9.2), whatever the policy. 0, or a drop reason. */
#ifndef MERLON_SANITY_H
#define MERLON_SANITY_H

#include "packet.h"

static __always_inline bool is_dhcp4(const struct packet *pkt)
{
	return pkt->family == 4 && pkt->proto == IPPROTO_UDP &&
	       ((pkt->sport == bpf_htons(68) && pkt->dport == bpf_htons(67)) ||
		(pkt->sport == bpf_htons(67) && pkt->dport == bpf_htons(68)));
}

static __always_inline bool is_dhcp6(const struct packet *pkt)
{
	return pkt->family == 6 && pkt->proto == IPPROTO_UDP &&
	       ((pkt->sport == bpf_htons(546) && pkt->dport == bpf_htons(547)) ||
		(pkt->sport == bpf_htons(547) && pkt->dport == bpf_htons(546))) &&
	       pkt->saddr.b[0] != 0xff; /* a link-local or unicast source */
}

/* Sources that cannot come over a wire. */
static __always_inline bool source_is_martian(const struct packet *pkt)
{
	const union address *source = &pkt->saddr;

	if (pkt->family == 6)
		return source->b[0] == 0xff ||
		       (!source->d[0] && source->d[1] == bpf_cpu_to_be64(1));
	if (source->b[12] == 0)
		return !(source->w[3] == 0 && (is_dhcp4(pkt) || pkt->proto == IPPROTO_IGMP));
	return source->b[12] == 127 || source->b[12] >= 224;
}

static __always_inline int sanity_check(const struct packet *pkt)
{
	if (!pkt->ttl)
		return DROP_TTL_EXCEEDED;
	if (source_is_martian(pkt))
		return DROP_MARTIAN;
	if (address_equal(&pkt->saddr, &pkt->daddr))
		return DROP_LAND;
	return 0;
}

#define ETHERTYPE_IN(word, type)                                       \
	((__u16)(word) == (type) || (__u16)((word) >> 16) == (type) || \
	 (__u16)((word) >> 32) == (type) || (__u16)((word) >> 48) == (type))

/* Is this ethertype, of a frame that is no IP, refused (HF-2.1)? Never ARP: without it there is no IPv4. */
static __always_inline bool ethertype_is_refused(__be16 ethertype)
{
	__u16 type = bpf_ntohs(ethertype);

	if (!cfg_strict_ethertypes || type < ETH_P_802_3_MIN || type == ETH_P_ARP)
		return false;
	return !ETHERTYPE_IN(cfg_ethertypes0, type) && !ETHERTYPE_IN(cfg_ethertypes1, type) &&
	       !ETHERTYPE_IN(cfg_ethertypes2, type) && !ETHERTYPE_IN(cfg_ethertypes3, type);
}

static __always_inline bool is_plain_syn(const struct packet *pkt)
{
	return pkt->proto == IPPROTO_TCP && !(pkt->flags & PKT_FRAG_LATER) &&
	       (pkt->tcp_flags & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST)) == TCP_SYN;
}

/* Flags that no TCP sends; asked only of packets to the node. */
static __always_inline bool tcp_flags_are_invalid(const struct packet *pkt)
{
	__u8 flags = pkt->tcp_flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_PSH | TCP_ACK | TCP_URG);

	if (pkt->proto != IPPROTO_TCP || pkt->flags & PKT_FRAG_LATER)
		return false;
	if (flags & TCP_SYN)
		return flags & (TCP_FIN | TCP_RST);
	return !flags || flags == (TCP_FIN | TCP_PSH | TCP_URG);
}

#endif
