/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The parser of every frame (HF-1.13, 1.14, 2.1, 2.6, 2.7). One function a layer, each returning 0, a
 * PARSE_* or a negative drop reason. It reads through frame_load() of the context's header, so that tc,
 * XDP and the fuzzer in user space run the same lines. The common case does not come here: fast.h.
 */
#ifndef MERLON_PARSE_H
#define MERLON_PARSE_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include "packet.h"

#define PARSE_OK 0
#define PARSE_NON_IP 1

#define VLAN_DEPTH 2
#define EXTHDRS_MAX 6
#define EXTHDR_BYTES_MAX 256
#define OPTION_BYTES_MAX 40

#define IP_MORE_FRAGMENTS 0x2000
#define IP_OFFSET_MASK 0x1fff
#define IP6_MORE_FRAGMENTS 0x0001
#define IP6_OFFSET_MASK 0xfff8

#define IPOPT_LOOSE_ROUTE 131
#define IPOPT_STRICT_ROUTE 137

#define NEXT_HOP_BY_HOP 0
#define NEXT_ROUTING 43
#define NEXT_FRAGMENT 44
#define NEXT_AUTH 51
#define NEXT_DESTINATION 60

/* Ethertype below the tags, network order; the outermost tag that names a VLAN goes into the packet. */
static __always_inline int parse_ethernet(frame_t *ctx, struct packet *pkt, __be16 *type)
{
	__be16 tag[2]; /* id and priority, next type */
	__u16 id = 0;

	if (frame_load(ctx, offsetof(struct ethhdr, h_proto), type, sizeof(*type)))
		return -DROP_INVALID;
	pkt->l3 = sizeof(struct ethhdr);
	pkt->vlan_proto = frame_tag(ctx, &id);
	pkt->vlan_id = id;
	if (!id)
		pkt->vlan_proto = 0; /* a priority tag names no VLAN */

	for (int i = 0; i < VLAN_DEPTH; i++) {
		if (*type != bpf_htons(ETH_P_8021Q) && *type != bpf_htons(ETH_P_8021AD))
			return 0;
		if (frame_load(ctx, pkt->l3, tag, sizeof(tag)))
			return -DROP_INVALID;
		id = bpf_ntohs(tag[0]) & 0xfff;
		if (!pkt->vlan_proto && id) {
			pkt->vlan_proto = *type;
			pkt->vlan_id = id;
		}
		*type = tag[1];
		pkt->l3 += sizeof(tag);
	}
	return 0;
}

/* Reads and moves the walk's place in memory, not in a register: to the verifier each step is then alike. */
#define CURSOR(pkt) (*(volatile __u16 *)&(pkt)->cursor)

/* Source routing says where else the packet must go: no firewall should carry it (HF-2.6). */
/* One option at the cursor, which moves past it: 1 at their end, else 0, or a negative drop reason. */
__noinline int parse_option(frame_t *ctx, struct packet *pkt, __u32 offset)
{
	__u8 type = 0, length = 1;
	__u16 at;

	if (!pkt)
		return -DROP_INTERNAL;
	at = CURSOR(pkt);
	if (frame_load(ctx, offset + at, &type, 1))
		return -DROP_INVALID;
	if (type == IPOPT_LOOSE_ROUTE || type == IPOPT_STRICT_ROUTE)
		return -DROP_IP_OPTION;
	if (type == IPOPT_END)
		return 1;
	if (type != IPOPT_NOOP && (frame_load(ctx, offset + at + 1, &length, 1) || length < 2))
		return -DROP_INVALID;
	CURSOR(pkt) = at + length;
	return 0;
}

__noinline int parse_options(frame_t *ctx, struct packet *pkt, __u32 offset, __u32 size)
{
	int rc;

	if (!pkt)
		return -DROP_INTERNAL;
	CURSOR(pkt) = 0;
	for (int i = 0; i < OPTION_BYTES_MAX; i++) {
		if (CURSOR(pkt) >= size)
			break;
		rc = parse_option(ctx, pkt, offset);
		if (rc)
			return rc < 0 ? rc : 0;
	}
	return CURSOR(pkt) > size ? -DROP_INVALID : 0;
}

static __always_inline int parse_ipv4(frame_t *ctx, struct packet *pkt, __u32 *payload)
{
	struct iphdr ip;
	__u32 room = pkt->length - pkt->l3;
	__u32 header, total;
	__u16 fragment;
	int rc;

	if (frame_load(ctx, pkt->l3, &ip, sizeof(ip)))
		return -DROP_INVALID;
	header = ip.ihl * 4;
	total = bpf_ntohs(ip.tot_len);
	if (!total && frame_is_gso(ctx))
		total = room;
	if (ip.version != 4 || header < sizeof(ip) || total < header || total > room)
		return -DROP_INVALID;

	pkt->family = 4;
	pkt->proto = ip.protocol;
	pkt->ttl = ip.ttl;
	address_set4(&pkt->saddr, ip.saddr);
	address_set4(&pkt->daddr, ip.daddr);
	pkt->l4 = pkt->l3 + header;
	*payload = total - header;

	fragment = bpf_ntohs(ip.frag_off);
	if (fragment & (IP_MORE_FRAGMENTS | IP_OFFSET_MASK)) {
		pkt->frag_id = ip.id;
		pkt->flags |= fragment & IP_OFFSET_MASK ? PKT_FRAG_LATER : PKT_FRAG_FIRST;
		if ((fragment & IP_OFFSET_MASK) == 1 && ip.protocol == IPPROTO_TCP)
			return -DROP_INVALID_FRAG; /* would overwrite the flags */
	}
	if (header > sizeof(ip)) {
		rc = parse_options(ctx, pkt, pkt->l3 + sizeof(ip), header - sizeof(ip));
		if (rc)
			return rc;
	}
	return 0;
}

/* One extension header at the cursor: the next one's number, or a negative drop reason. */
__noinline int parse_exthdr(frame_t *ctx, struct packet *pkt, __u8 type)
{
	__u8 part[8]; /* every extension header has at least these */
	__u16 at, fragment;

	if (!pkt)
		return -DROP_INTERNAL;
	at = CURSOR(pkt);
	if (frame_load(ctx, at, part, sizeof(part)))
		return -DROP_INVALID;
	if (type == NEXT_FRAGMENT) {
		fragment = part[2] << 8 | part[3];
		__builtin_memcpy(&pkt->frag_id, part + 4, 4);
		if (fragment & IP6_OFFSET_MASK)
			pkt->flags |= PKT_FRAG_LATER;
		else if (fragment & IP6_MORE_FRAGMENTS)
			pkt->flags |= PKT_FRAG_FIRST; /* else an atomic one: whole */
		CURSOR(pkt) = at + 8;
	} else if (type == NEXT_AUTH) {
		CURSOR(pkt) = at + (part[1] + 2) * 4;
	} else {
		CURSOR(pkt) = at + (part[1] + 1) * 8;
	}
	if (type == NEXT_ROUTING && part[2] == 0)
		return -DROP_INVALID_EXTHDR;
	return part[0];
}

#define EXTHDRS                                                                   \
	(1ULL << NEXT_HOP_BY_HOP | 1ULL << NEXT_ROUTING | 1ULL << NEXT_FRAGMENT | \
	 1ULL << NEXT_AUTH | 1ULL << NEXT_DESTINATION)

static __always_inline bool is_exthdr(__u8 type)
{
	return type < 64 && EXTHDRS >> type & 1;
}

/* Walks the extension headers; what it stops at is the protocol. */
__noinline int parse_exthdrs(frame_t *ctx, struct packet *pkt, __u8 next)
{
	bool has_fragment = false;
	__u16 start;
	int rc;

	if (!pkt)
		return -DROP_INTERNAL;
	start = pkt->l3 + sizeof(struct ipv6hdr);
	CURSOR(pkt) = start;
	for (int i = 0; i <= EXTHDRS_MAX; i++) {
		if (!is_exthdr(next) || pkt->flags & PKT_FRAG_LATER)
			break; /* what follows a later fragment's header is the middle of something */
		if (i == EXTHDRS_MAX || (next == NEXT_HOP_BY_HOP && i))
			return -DROP_INVALID_EXTHDR;
		if (next == NEXT_FRAGMENT && has_fragment)
			return -DROP_INVALID_EXTHDR; /* a fragment of a fragment hides its ports */
		has_fragment |= next == NEXT_FRAGMENT;
		rc = parse_exthdr(ctx, pkt, next);
		if (rc < 0)
			return rc;
		if ((__u16)(CURSOR(pkt) - start) > EXTHDR_BYTES_MAX)
			return -DROP_INVALID_EXTHDR;
		next = rc;
	}
	pkt->proto = next;
	pkt->l4 = CURSOR(pkt);
	return 0;
}

static __always_inline int parse_ipv6(frame_t *ctx, struct packet *pkt, __u32 *payload)
{
	struct ipv6hdr ip;
	__u32 room = pkt->length - pkt->l3;
	__u32 total;
	int rc;

	if (frame_load(ctx, pkt->l3, &ip, sizeof(ip)))
		return -DROP_INVALID;
	total = bpf_ntohs(ip.payload_len);
	if (!total && (frame_is_gso(ctx) || ip.nexthdr == NEXT_HOP_BY_HOP))
		total = room - sizeof(ip); /* a jumbogram's length stands in its option */
	if (ip.version != 6 || total + sizeof(ip) > room)
		return -DROP_INVALID;

	pkt->family = 6;
	pkt->ttl = ip.hop_limit;
	__builtin_memcpy(&pkt->saddr, &ip.saddr, sizeof(pkt->saddr));
	__builtin_memcpy(&pkt->daddr, &ip.daddr, sizeof(pkt->daddr));
	rc = parse_exthdrs(ctx, pkt, ip.nexthdr);
	if (rc)
		return rc;
	total += pkt->l3 + sizeof(ip); /* where the packet ends */
	if (pkt->l4 > total)
		return -DROP_INVALID;
	*payload = total - pkt->l4;
	return 0;
}

static __always_inline int parse_tcp(frame_t *ctx, struct packet *pkt, __u32 payload)
{
	__u8 part[14]; /* ports, numbers, length of the header, flags */
	__u32 header;

	if (payload < 20 || frame_load(ctx, pkt->l4, part, sizeof(part)))
		return -DROP_INVALID;
	header = (part[12] >> 4) * 4;
	if (header < 20 || (header > payload && !(pkt->flags & PKT_FRAG_FIRST)))
		return -DROP_INVALID;
	__builtin_memcpy(&pkt->sport, part, 2);
	__builtin_memcpy(&pkt->dport, part + 2, 2);
	pkt->tcp_flags = part[13];
	return 0;
}

/* ICMP of both families: echo and timestamp are flows, errors speak of another packet (HF-2.4). */
static __always_inline int parse_icmp(frame_t *ctx, struct packet *pkt, __u32 payload)
{
	__u8 part[8]; /* type, code, sum, identifier, sequence */
	bool is_error;

	if (payload < (pkt->proto == PROTO_ICMP6 ? 4 : 8) || frame_load(ctx, pkt->l4, part, 4))
		return -DROP_INVALID;
	pkt->icmp_type = part[0];
	pkt->icmp_code = part[1];
	if (pkt->proto == PROTO_ICMP6)
		is_error = part[0] >= 1 && part[0] <= 4;
	else
		is_error = part[0] == 3 || part[0] == 4 || part[0] == 5 || part[0] == 11 ||
			   part[0] == 12;
	if (is_error)
		pkt->flags |= PKT_ICMP_ERROR;
	icmp_orient(pkt);
	if (pkt->flags & PKT_NO_RECORD)
		return 0;
	if (payload < 8 || frame_load(ctx, pkt->l4 + 4, part, 2))
		return -DROP_INVALID;
	__builtin_memcpy(pkt->flags & PKT_ICMP_REQUEST ? &pkt->sport : &pkt->dport, part, 2);
	return 0;
}

static __always_inline int parse_ports(frame_t *ctx, struct packet *pkt, __u32 payload,
				       __u32 header)
{
	__be16 port[2];

	if (payload < header || frame_load(ctx, pkt->l4, port, sizeof(port)))
		return -DROP_INVALID;
	pkt->sport = port[0];
	pkt->dport = port[1];
	return 0;
}

static __always_inline int parse_l4(frame_t *ctx, struct packet *pkt, __u32 payload)
{
	int rc = 0;

	if (pkt->flags & PKT_FRAG_LATER)
		return 0;
	if (pkt->proto == IPPROTO_TCP)
		rc = parse_tcp(ctx, pkt, payload);
	else if (pkt->proto == IPPROTO_UDP)
		rc = parse_ports(ctx, pkt, payload, 8);
	else if (pkt->proto == PROTO_SCTP)
		rc = parse_ports(ctx, pkt, payload, 12);
	else if (pkt->proto == (pkt->family == 4 ? IPPROTO_ICMP : PROTO_ICMP6))
		rc = parse_icmp(ctx, pkt, payload);
	if (rc && (pkt->flags & PKT_FRAG_FIRST))
		return -DROP_INVALID_FRAG; /* a first fragment too small for its header */
	return rc;
}

/* The whole frame from the start. `has_ethernet` is a constant of the program. */
static __always_inline int parse_frame(frame_t *ctx, struct packet *pkt, bool has_ethernet)
{
	__u32 payload = 0;
	__be16 type = 0;
	int rc;

	if (has_ethernet) {
		rc = parse_ethernet(ctx, pkt, &type);
		if (rc)
			return rc;
	} else {
		__u8 version;

		if (frame_load(ctx, 0, &version, 1))
			return -DROP_INVALID;
		if (version >> 4 == 4)
			type = bpf_htons(ETH_P_IP);
		if (version >> 4 == 6)
			type = bpf_htons(ETH_P_IPV6);
	}
	if (pkt->length < pkt->l3)
		return -DROP_INVALID;

	if (type == bpf_htons(ETH_P_IP))
		rc = parse_ipv4(ctx, pkt, &payload);
	else if (type == bpf_htons(ETH_P_IPV6))
		rc = parse_ipv6(ctx, pkt, &payload);
	else {
		pkt->dport = type; /* for whoever reports the frame */
		return PARSE_NON_IP;
	}
	if (rc)
		return rc;
	return parse_l4(ctx, pkt, payload);
}

#endif
