/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which protocols pod policy knows. */
#ifndef MERLON_PROTOCOL_H
#define MERLON_PROTOCOL_H

#include "packet.h"
#include "parse.h"

/*
 * Protocols that pod policy has no word for (policy.md 5.1). A later fragment that names an extension header
 * hides its protocol: policy judges it by what it knows.
 */
static __always_inline bool protocol_is_unknown(const struct packet *pkt)
{
	switch (pkt->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case PROTO_SCTP:
		return false;
	case IPPROTO_ICMP:
		return pkt->family != 4;
	case PROTO_ICMP6:
		return pkt->family != 6;
	case IPPROTO_IGMP:
	case PROTO_VRRP:
		return !cfg_extended_protocols;
	default:
		return !(pkt->flags & PKT_NO_PORTS && is_exthdr(pkt->proto));
	}
}

#endif
