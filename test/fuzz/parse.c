// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The datapath's parser under libFuzzer: the same lines, reading from a buffer. The first byte of the input
 * says what kind of frame follows; memory errors are the sanitizer's to find, contradictions are ours.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "lib/packet.h"

typedef struct {
	const uint8_t *data;
	__u32 size;
	bool is_gso;
	__u16 tag;
} frame_t;

static int frame_load(frame_t *frame, __u32 offset, void *to, __u32 size)
{
	if (offset > frame->size || size > frame->size - offset)
		return -1;
	memcpy(to, frame->data + offset, size);
	return 0;
}

static __u32 __attribute__((unused)) frame_length(frame_t *frame)
{
	return frame->size;
}

static bool frame_is_gso(frame_t *frame)
{
	return frame->is_gso;
}

static __be16 frame_tag(frame_t *frame, __u16 *id)
{
	*id = frame->tag;
	return frame->tag ? bpf_htons(ETH_P_8021Q) : 0;
}

#include "lib/parse.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

static bool is_a_parse_reason(int reason)
{
	return reason == DROP_INVALID || reason == DROP_INVALID_EXTHDR ||
	       reason == DROP_INVALID_FRAG || reason == DROP_IP_OPTION;
}

/* What every accepted packet has. */
static void check_packet(const frame_t *frame, const struct packet *pkt)
{
	bool has_ports =
		pkt->proto == IPPROTO_TCP || pkt->proto == IPPROTO_UDP || pkt->proto == PROTO_SCTP;

	CHECK(pkt->family == 4 || pkt->family == 6);
	CHECK(pkt->l4 >= pkt->l3 + (pkt->family == 4 ? 20 : 40));
	CHECK(pkt->l4 <= frame->size);
	CHECK(!(pkt->flags & PKT_FRAG_FIRST && pkt->flags & PKT_FRAG_LATER));
	if (pkt->family == 4)
		CHECK(pkt->saddr.d[0] == 0 && pkt->saddr.w[2] == bpf_htonl(0xffff));
	if (pkt->flags & PKT_FRAG_LATER) {
		CHECK(!pkt->sport && !pkt->dport && !pkt->tcp_flags);
		return;
	}
	if (has_ports) {
		CHECK(pkt->l4 + 8u <= frame->size);
		CHECK(!memcmp(&pkt->sport, frame->data + pkt->l4, 2));
		CHECK(!memcmp(&pkt->dport, frame->data + pkt->l4 + 2, 2));
	}
	if (pkt->proto == IPPROTO_TCP)
		CHECK(pkt->l4 + 20u <= frame->size && pkt->tcp_flags == frame->data[pkt->l4 + 13]);
	CHECK(!(pkt->flags & PKT_ICMP_REQUEST && pkt->flags & PKT_ICMP_REPLY));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet pkt = {};
	frame_t frame;
	int rc;

	if (size < 1 || size > 2048)
		return 0;
	frame.data = data + 1;
	frame.size = size - 1;
	frame.is_gso = data[0] & 1;
	frame.tag = data[0] >> 2;
	pkt.length = frame.size;
	rc = parse_frame(&frame, &pkt, !(data[0] & 2));
	CHECK(rc == PARSE_OK || rc == PARSE_NON_IP || is_a_parse_reason(-rc));
	if (rc == PARSE_OK)
		check_packet(&frame, &pkt);
	return 0;
}
