/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a frame to a struct packet on the rare paths: the common kind of frame by direct access, others by
 * the full parser.
 */
#ifndef MERLON_INTAKE_H
#define MERLON_INTAKE_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include "control.h"
#include "device.h"
#include "packet.h"
#include "parse.h"
#include "sanity.h"

#define IPV4_VERSION_IHL 0x45
#define UDP_HEADER 8
#define TCP_HEADER 20

/* Ports and flags of the TCP or UDP header at `l4`, in `size` bytes. */
static __always_inline bool intake_l4(struct packet *pkt, void *l4, void *end, __u32 size)
{
	__be16 *port = l4;
	__u8 *bytes = l4;

	if (l4 + UDP_HEADER > end)
		return false;
	pkt->sport = port[0];
	pkt->dport = port[1];
	if (pkt->proto == IPPROTO_UDP)
		return true;
	if (pkt->proto != IPPROTO_TCP || l4 + TCP_HEADER > end || bytes[12] < 0x50 ||
	    (bytes[12] >> 4) * 4 > size)
		return false;
	pkt->tcp_flags = bytes[13];
	return true;
}

static __always_inline bool intake4(struct packet *pkt, void *l3, void *end)
{
	struct iphdr *ip = l3;

	if ((void *)(ip + 1) > end || *(__u8 *)ip != IPV4_VERSION_IHL ||
	    ip->frag_off & bpf_htons(0x3fff) || !ip->ttl ||
	    bpf_ntohs(ip->tot_len) > pkt->length - pkt->l3 ||
	    bpf_ntohs(ip->tot_len) < sizeof(*ip) + UDP_HEADER)
		return false;
	pkt->family = 4;
	pkt->proto = ip->protocol;
	pkt->ttl = ip->ttl;
	pkt->l4 = pkt->l3 + sizeof(*ip);
	address_set4(&pkt->saddr, ip->saddr);
	address_set4(&pkt->daddr, ip->daddr);
	return intake_l4(pkt, ip + 1, end, bpf_ntohs(ip->tot_len) - sizeof(*ip));
}

static __always_inline bool intake6(struct packet *pkt, void *l3, void *end)
{
	struct ipv6hdr *ip = l3;

	if ((void *)(ip + 1) > end || ip->version != 6 || !ip->hop_limit ||
	    bpf_ntohs(ip->payload_len) + sizeof(*ip) > pkt->length - pkt->l3 ||
	    bpf_ntohs(ip->payload_len) < UDP_HEADER)
		return false;
	pkt->family = 6;
	pkt->proto = ip->nexthdr;
	pkt->ttl = ip->hop_limit;
	pkt->l4 = pkt->l3 + sizeof(*ip);
	__builtin_memcpy(&pkt->saddr, &ip->saddr, 16);
	__builtin_memcpy(&pkt->daddr, &ip->daddr, 16);
	return intake_l4(pkt, ip + 1, end, bpf_ntohs(ip->payload_len));
}

/* The common kind of frame; false: another kind, and what was written is to be forgotten. */
static __always_inline bool intake_common(struct __sk_buff *skb, struct packet *pkt,
					  bool has_ethernet)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	__be16 type;

	if (has_ethernet) {
		if (skb->vlan_present || (void *)(eth + 1) > end)
			return false;
		type = eth->h_proto;
		data = eth + 1;
		pkt->l3 = sizeof(*eth);
	} else {
		if (data + 1 > end)
			return false;
		type = *(__u8 *)data >> 4 == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	}
	if (type == bpf_htons(ETH_P_IP))
		return intake4(pkt, data, end);
	if (type == bpf_htons(ETH_P_IPV6))
		return intake6(pkt, data, end);
	return false;
}

/* What every packet has, whatever it carries. */
static __always_inline void intake_begin(struct packet *pkt, struct __sk_buff *skb,
					 enum direction dir, enum subject_index owner)
{
	pkt->dir = dir;
	pkt->owner = owner;
	pkt->refuser = owner;
	pkt->ifindex = skb->ifindex;
	pkt->length = skb->len;
	pkt->segments = skb->gso_segs ?: 1;
}

/* Every other kind. What the common kind left of a failed attempt is forgotten. */
static __always_inline int intake_full(struct __sk_buff *skb, struct packet *pkt, bool has_ethernet)
{
	pkt->family = 0;
	pkt->proto = 0;
	pkt->tcp_flags = 0;
	pkt->sport = 0;
	pkt->dport = 0;
	pkt->l3 = 0;
	return parse_frame(skb, pkt, has_ethernet);
}

#endif
