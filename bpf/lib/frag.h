/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments (HF-2.7): the first one leaves the ports of its datagram behind, later ones take them up and
 * are then judged like any packet.
 */
#ifndef MERLON_FRAG_H
#define MERLON_FRAG_H

#include "packet.h"
#include "time.h"

static __always_inline void frag_set(struct frag_value *value, const struct packet *pkt)
{
	value->sport = pkt->sport;
	value->dport = pkt->dport;
	value->icmp_type = pkt->icmp_type;
	value->proto = pkt->proto;
	value->seen = now_seconds();
}

static __always_inline void frag_key4(struct frag4_key *key, const struct packet *pkt)
{
	key->saddr = pkt->saddr.w[3];
	key->daddr = pkt->daddr.w[3];
	key->id = pkt->frag_id;
	key->proto = pkt->proto;
}

/* Later fragments name the protocol of their own first header only: not part of the key. */
static __always_inline void frag_key6(struct frag6_key *key, const struct packet *pkt)
{
	__builtin_memcpy(key->saddr, &pkt->saddr, 16);
	__builtin_memcpy(key->daddr, &pkt->daddr, 16);
	key->id = pkt->frag_id;
}

/* Records a first fragment's ports, or finds a later one's. */
__noinline int frag_track(struct packet *pkt)
{
	struct frag_value fresh = {}, *value;
	struct frag4_key key4 = {};
	struct frag6_key key6 = {};

	if (!pkt)
		return 0;
	if (pkt->family == 4) {
		frag_key4(&key4, pkt);
		value = bpf_map_lookup_elem(&frag4, &key4);
	} else {
		frag_key6(&key6, pkt);
		value = bpf_map_lookup_elem(&frag6, &key6);
	}

	if (pkt->flags & PKT_FRAG_LATER) {
		if (!value || now_seconds() - value->seen > cfg_timeout_frag) {
			pkt->flags |= PKT_NO_PORTS | PKT_NO_RECORD;
			count(STAT_FRAG_OUT_OF_ORDER, 1);
			return 0;
		}
		pkt->sport = value->sport;
		pkt->dport = value->dport;
		pkt->proto = value->proto;
		pkt->icmp_type = value->icmp_type;
		if (pkt->proto == PROTO_ICMP6 || (pkt->proto == IPPROTO_ICMP && pkt->family == 4))
			icmp_orient(pkt);
		return 0;
	}
	if (value) {
		frag_set(value, pkt); /* in place: an overwriting update can make lookups miss */
		return 0;
	}
	frag_set(&fresh, pkt);
	if (pkt->family == 4)
		bpf_map_update_elem(&frag4, &key4, &fresh, BPF_ANY);
	else
		bpf_map_update_elem(&frag6, &key6, &fresh, BPF_ANY);
	return 0;
}

#endif
