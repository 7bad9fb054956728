/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is known of the packet at hand. Filled by the parser, then by each step; holds no pointers, so that
 * the rare steps can be global functions, which the verifier checks apart.
 */
#ifndef MERLON_PACKET_H
#define MERLON_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "../config.h"
#include "../maps.h"
#include "../types.h"

#define __unused __attribute__((unused))

#ifndef barrier_var
#define barrier_var(var) asm volatile("" : "+r"(var))
#endif

/*
 * Masks an index of two where the verifier sees it. The compiler would drop `& 1` as needless, and
 * verifiers before 6.3 lose the bounds of what an exclusive or made.
 */
#ifdef __bpf__
#define BOUND_TO_BIT(var) asm volatile("%0 &= 1" : "+r"(var))
#else
#define BOUND_TO_BIT(var) ((var) &= 1) /* the parsers under the fuzzer */
#endif

#define PASS TC_ACT_UNSPEC /* "next" of tcx, "continue" of clsact: others get their turn */

#define IDENTITY_HOST 1

/* pkt_type of an skb (linux/if_packet.h is not for BPF). */
#define PKT_TYPE_OTHERHOST 3
#define PKT_TYPE_LOOPBACK 5

/* An address of either family; IPv4 is mapped (::ffff:a.b.c.d). */
union address {
	__u8 b[16];
	__be32 w[4];
	__u64 d[2];
};

/* A policy subject of this packet: the node, the pod, or both (HF-1.1 rows 6, 7). */
enum subject_index {
	SUBJECT_HOST = 0,
	SUBJECT_POD = 1,
	SUBJECTS = 2,
};

struct subject {
	__u32 generation; /* of the slot that rules */
	__u16 ruleset;
	__u8 slot;
	__u8 flags; /* SUBJECT_* */
};

#define SUBJECT_PRESENT 0x01
#define SUBJECT_OPEN 0x02   /* nothing is judged: no policy yet, or switched off */
#define SUBJECT_AUDIT 0x04  /* refusals are reported and pass */
#define SUBJECT_LOCKED 0x08 /* built-ins, failsafe and replies only */

/* What a subject's policy said, in the form a flow record keeps. */
struct judgement {
	__u32 origin;
	__u8 verdict; /* as in a flow record */
	__u8 flags;   /* CELL_* */
	__u8 bits;    /* JUDGED_* */
	__u8 audited; /* the drop reason that audit let pass, 0 = none */
};

#define JUDGED_NOW 0x01 /* in this packet */
#define JUDGED_FAILSAFE 0x02
#define JUDGED_NEW 0x04     /* allowed as new: people get to know */
#define JUDGED_AUDITED 0x08 /* a live flow that audit lets pass from now on: they, too */
#define JUDGED_TELL (JUDGED_NEW | JUDGED_AUDITED)

struct packet {
	union address saddr;
	union address daddr;
	struct subject subject[SUBJECTS];
	struct judgement judged[SUBJECTS];
	__u32 length; /* bytes of the frame */
	__u32 ifindex;
	__u32 src_identity;
	__u32 dst_identity;
	__u32 clock; /* logical time, read before the first table */
	__u32 flow;  /* number of the record, 0 = none */
	__be32 frag_id;
	__u32 resp_first; /* unproven TCP: the responder's first sequence number, */
	__u32 resp_end;   /* one past its last; 0, 0 = no SYN-ACK seen */
	__be16 sport;     /* ICMP echo: the identifier at the asking end, 0 at the other */
	__be16 dport;
	__u16 segments; /* packets on the wire */
	__u16 l3;       /* offsets from the start of the data */
	__u16 l4;
	__u16 flags;    /* PKT_* */
	__u16 slot;     /* of the device's counters */
	__u16 endpoint; /* id of the pod, 0 = none */
	__u16 vlan_id;
	__u16 cursor; /* of a parser's walk; kept here so that the verifier forgets how far it went */
	__be16 vlan_proto; /* of the outermost tag, 0 = none */
	__u8 family;       /* 4, 6 */
	__u8 proto;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 ttl;
	__u8 dir;             /* enum direction, as the owner of the hook sees it */
	__u8 owner;           /* enum subject_index */
	__u32 endpoint_index; /* of the pod behind the device */
	__s16 way;            /* what became of it so far: stage.h */
	__u8 refuser;         /* enum subject_index: whose judgement refuses */
	__u8 has_ethernet;
	__u16 event[SUBJECTS]; /* of what to tell: its type << 8 | drop reason, 0 = nothing */
	__u8 is_related;       /* what it belongs to has been asked */
	__u8 pad[3];
};
_Static_assert(sizeof(struct packet) % 8 == 0, "struct packet has hidden padding");
_Static_assert(sizeof(struct packet) <= sizeof(struct packet_scratch),
	       "packet_scratch is too small");

#define PKT_SYN 0x0001  /* a plain SYN: policy comes before the flow table */
#define PKT_MISS 0x0002 /* the main flow table holds no record */
#define PKT_FRAG_FIRST 0x0004
#define PKT_FRAG_LATER 0x0008 /* without ports of its own */
#define PKT_NO_PORTS 0x0010   /* a later fragment whose first is unknown */
#define PKT_NO_RECORD 0x0020  /* judged by itself; leaves no record */
#define PKT_ICMP_ERROR 0x0040
#define PKT_ICMP_REQUEST 0x0080
#define PKT_ICMP_REPLY 0x0100
#define PKT_SRC_ENDPOINT 0x0200 /* an endpoint of this node has this address */
#define PKT_DST_ENDPOINT 0x0400
#define PKT_FORWARDED 0x0800 /* merely passes through */
#define PKT_SOCKET 0x1000    /* an established socket stands behind it */
#define PKT_REPLY 0x2000     /* travels towards the initiator */
#define PKT_XDP 0x4000
#define PKT_FROM_WIRE 0x8000 /* may not show a source of the node's (HF-1.5) */

/* Parts of something else: of a datagram, of a connection that an error speaks of. */
#define PKT_RELATED (PKT_FRAG_FIRST | PKT_FRAG_LATER | PKT_ICMP_ERROR)

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20

#define PROTO_ICMP6 58
#define PROTO_VRRP 112
#define PROTO_SCTP 132

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are put together so");

static __always_inline void address_set4(union address *to, __be32 addr)
{
	to->d[0] = 0;
	to->d[1] = bpf_htonl(0xffff) | (__u64)addr << 32; /* one store: it is read as one */
}

static __always_inline bool address_equal(const union address *a, const union address *b)
{
	return a->d[0] == b->d[0] && a->d[1] == b->d[1];
}

static __always_inline __u32 epoch_bucket(const union address *addr, __u8 family)
{
	__u32 hash = addr->w[3] * EPOCH_MULTIPLIER3;

	if (family == 6)
		hash += addr->w[0] * EPOCH_MULTIPLIER0 + addr->w[1] * EPOCH_MULTIPLIER1 +
			addr->w[2] * EPOCH_MULTIPLIER2;
	return hash >> EPOCH_SHIFT;
}

static __always_inline bool address_is_multicast(const union address *addr, __u8 family)
{
	if (family == 4)
		return (addr->b[12] & 0xf0) == 0xe0 || addr->w[3] == 0xffffffff;
	return addr->b[0] == 0xff;
}

static __always_inline bool address_is_unspecified(const union address *addr, __u8 family)
{
	if (family == 4)
		return addr->w[3] == 0;
	return addr->d[0] == 0 && addr->d[1] == 0;
}

/* Does the node take no new connection of the family (HF-2.1)? Pruned while both are on. */
static __always_inline bool family_is_disabled(__u8 family)
{
	return (cfg_no_ipv4 && family == 4) || (cfg_no_ipv6 && family == 6);
}

/* The packet at hand, as the program before left it. */
static __always_inline struct packet *packet_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&packet_scratch, &zero);
}

/*
 * This CPU's room for the packet at hand, empty: the rare paths work there, since the stack is too small
 * for them and their functions. Nothing interrupts a program on its CPU by another that uses it.
 */
static __always_inline struct packet *packet_room(void)
{
	struct packet *pkt = packet_get();

	if (pkt)
		__builtin_memset(pkt, 0, sizeof(*pkt));
	return pkt;
}

/* Counts one packet that took the path `stat`. */
static __always_inline void count(__u32 stat, __u32 n)
{
	__u64 *counter = bpf_map_lookup_elem(&stat_count, &stat);

	if (counter)
		*counter += n; /* per-CPU */
}

/* Which way an ICMP message speaks, by its type (HF-2.4); one that is part of no flow has no record. */
static __always_inline void icmp_orient(struct packet *pkt)
{
	__u8 type = pkt->icmp_type;

	if (pkt->proto == PROTO_ICMP6) {
		pkt->flags |= type == 128 ? PKT_ICMP_REQUEST : 0;
		pkt->flags |= type == 129 ? PKT_ICMP_REPLY : 0;
	} else {
		pkt->flags |= type == 8 || type == 13 ? PKT_ICMP_REQUEST : 0;
		pkt->flags |= type == 0 || type == 14 ? PKT_ICMP_REPLY : 0;
	}
	if (!(pkt->flags & (PKT_ICMP_REQUEST | PKT_ICMP_REPLY)))
		pkt->flags |= PKT_NO_RECORD;
}

#endif
