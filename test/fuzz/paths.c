// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The ways from a frame to a packet against one another, in user space under libFuzzer: the full parser, the
 * intake of common frames, the fast path, the look into an ICMP error. Headers are those of bpf/; only the
 * kernel's helpers are replaced. A frame lies twice: in a block of exactly its size, from which the loading
 * helper reads (the address sanitizer watches its ends), and before an unmapped page, for direct access.
 *
 * Checked of every input: verdicts are of the catalogue; the parser only ever moves on; what it says of the
 * packet lies within the frame; the two short ways to the same facts agree with it; a look into an error leaves
 * the packet as it was.
 *
 * Input: one byte of options, one of the linear length, the frame.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static long fuzz_load_bytes(const void *skb, uint32_t offset, void *to, uint32_t size);
static void *fuzz_map_lookup(const void *map, const void *key);

#define bpf_skb_load_bytes fuzz_load_bytes
#define bpf_map_lookup_elem fuzz_map_lookup
#define bpf_map_update_elem(map, key, value, flags) 0L
#define bpf_map_delete_elem(map, key) 0L
#define bpf_jiffies64() (1ULL << 32)
#define bpf_ktime_get_boot_ns() 0ULL
#define bpf_ktime_get_ns() 0ULL
#define bpf_get_smp_processor_id() 0U
#define bpf_ringbuf_reserve(ring, size, flags) NULL
#define bpf_ringbuf_submit(data, flags) ((void)0)
#define bpf_skc_lookup_tcp(ctx, tuple, size, netns, flags) NULL
#define bpf_sk_lookup_udp(ctx, tuple, size, netns, flags) NULL
#define bpf_sk_release(sock) 0L

#include "lib/frame_skb.h"
#include "lib/parse.h"
#include "lib/intake.h"
#include "lib/sanity.h"
#include "lib/icmp.h"
#include "lib/fast.h"

#define FRAME_MAX 2048
#define PAGE 4096

/* Options of an input. */
#define INPUT_ETHERNET 0x01
#define INPUT_GSO 0x02
#define INPUT_TAG 0x04
#define INPUT_PART 0x08 /* only a part of the frame is linear */

static uint8_t *frame; /* exactly `frame_size` bytes */
static uint32_t frame_size, last_offset;
static bool is_parsing;
static struct flow_scratch room;
static union {
	struct flow4_key v4;
	struct flow6_key v6;
} looked_up;

#define CHECK(condition)                                                                \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

static long fuzz_load_bytes(const void *skb, uint32_t offset, void *to, uint32_t size)
{
	(void)skb;
	if (is_parsing) {
		CHECK(offset >= last_offset); /* else a crafted frame could keep it busy */
		last_offset = offset;
	}
	if (offset > frame_size || size > frame_size - offset)
		return -1;
	memcpy(to, frame + offset, size);
	return 0;
}

/* Every table is empty but for the room where keys are made; what the flow tables are asked for is noted. */
static void *fuzz_map_lookup(const void *map, const void *key)
{
	if (map == &flow_scratch)
		return &room;
	if (map == &flow_tcp4 || map == &flow_any4)
		memcpy(&looked_up.v4, key, sizeof(looked_up.v4));
	if (map == &flow_tcp6 || map == &flow_any6)
		memcpy(&looked_up.v6, key, sizeof(looked_up.v6));
	return NULL;
}

static bool is_reason(int reason)
{
	return reason == DROP_INVALID || reason == DROP_IP_OPTION ||
	       reason == DROP_INVALID_EXTHDR || reason == DROP_INVALID_FRAG;
}

static int parse(struct __sk_buff *skb, struct packet *pkt, bool has_ethernet)
{
	int rc;

	memset(pkt, 0, sizeof(*pkt));
	intake_begin(pkt, skb, DIR_INGRESS, SUBJECT_HOST);
	last_offset = 0;
	is_parsing = true;
	rc = parse_frame(skb, pkt, has_ethernet);
	is_parsing = false;
	return rc;
}

static void check_packet(const struct packet *pkt, bool has_ethernet)
{
	__u16 header = pkt->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);

	CHECK(pkt->family == 4 || pkt->family == 6);
	CHECK(has_ethernet ? pkt->l3 == 14 || pkt->l3 == 18 || pkt->l3 == 22 : pkt->l3 == 0);
	CHECK(pkt->l4 >= pkt->l3 + header && pkt->l4 <= pkt->length);
	CHECK(!(pkt->flags & PKT_FRAG_FIRST) || !(pkt->flags & PKT_FRAG_LATER));
	CHECK(!(pkt->flags & PKT_ICMP_REQUEST) || !(pkt->flags & PKT_ICMP_REPLY));
	CHECK(!(pkt->flags & PKT_FRAG_LATER) || (!pkt->sport && !pkt->dport && !pkt->tcp_flags));
	CHECK(pkt->family == 4 || pkt->flags & PKT_FRAG_LATER || !is_exthdr(pkt->proto));
	CHECK(!pkt->vlan_proto || pkt->vlan_id);
	CHECK(pkt->vlan_id < 4096);
	if (pkt->flags & PKT_FRAG_LATER)
		return;
	if (pkt->proto == IPPROTO_TCP)
		CHECK(pkt->l4 + 14U <= pkt->length);
	if (pkt->proto == IPPROTO_UDP)
		CHECK(pkt->l4 + 8U <= pkt->length);
}

/* The short way to the same facts must agree with the long one. */
static void check_intake(struct __sk_buff *skb, const struct packet *pkt, int rc, bool has_ethernet)
{
	struct packet common = {};

	intake_begin(&common, skb, DIR_INGRESS, SUBJECT_HOST);
	if (!intake_common(skb, &common, has_ethernet))
		return;
	CHECK(rc == 0);
	common.cursor = pkt->cursor;
	CHECK(!memcmp(&common, pkt, sizeof(common)));
}

/* The fast path looks for the record that the parsed packet has, and only where nothing else is amiss. */
static void check_fast(struct __sk_buff *skb, const struct packet *pkt, int rc, bool has_ethernet)
{
	struct fast fast = {};

	fast_find(skb, &fast, has_ethernet, DIR_INGRESS, NULL);
	if (!fast.was_looked_up)
		return;
	CHECK(rc == 0 && pkt->ttl);
	CHECK(!(pkt->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) && !is_plain_syn(pkt));
	CHECK(!tcp_flags_are_invalid(pkt));
	CHECK(fast.swapped == key_make(pkt) && fast.proto == pkt->proto);
	CHECK(fast.bucket == epoch_bucket(&pkt->saddr, pkt->family));
	CHECK(fast.own_bucket == epoch_bucket(&pkt->daddr, pkt->family));
	if (pkt->family == 4)
		CHECK(!memcmp(&looked_up.v4, &room.key4, sizeof(room.key4)));
	else
		CHECK(!memcmp(&looked_up.v6, &room.key6, sizeof(room.key6)));
}

static void check_related(struct __sk_buff *skb, const struct packet *pkt)
{
	struct packet copy = *pkt;

	CHECK(!icmp_is_related(skb, &copy)); /* there are no records */
	CHECK(!memcmp(&copy, pkt, sizeof(copy)));
}

/* Direct access has 32 bits of pointer: the last bytes before a page that is not there. */
static uint8_t *linear_end(void)
{
	static uint8_t *memory;

	if (!memory) {
		memory = mmap(NULL, FRAME_MAX + 2 * PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		CHECK(memory != MAP_FAILED);
		memory += (FRAME_MAX + PAGE - 1) / PAGE * PAGE;
		CHECK(!mprotect(memory, PAGE, PROT_NONE));
	}
	return memory;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct __sk_buff skb = {};
	uint32_t linear;
	struct packet pkt;
	bool has_ethernet;
	int rc;

	if (size < 2 || size - 2 > FRAME_MAX)
		return 0;
	has_ethernet = data[0] & INPUT_ETHERNET;
	frame_size = size - 2;
	frame = malloc(frame_size);
	memcpy(frame, data + 2, frame_size);
	linear = data[0] & INPUT_PART && data[1] < frame_size ? data[1] : frame_size;
	memcpy(linear_end() - linear, frame, linear);
	skb.data = (uintptr_t)(linear_end() - linear);
	skb.data_end = (uintptr_t)linear_end();
	skb.len = frame_size;
	skb.gso_size = data[0] & INPUT_GSO ? 1400 : 0;
	skb.vlan_present = !!(data[0] & INPUT_TAG);
	skb.vlan_proto = bpf_htons(ETH_P_8021Q);
	skb.vlan_tci = data[1] * 0x101; /* priority and number */

	rc = parse(&skb, &pkt, has_ethernet);
	CHECK(rc == PARSE_OK || rc == PARSE_NON_IP || is_reason(-rc));
	if (rc == PARSE_OK)
		check_packet(&pkt, has_ethernet);
	check_intake(&skb, &pkt, rc, has_ethernet);
	check_fast(&skb, &pkt, rc, has_ethernet);
	if (rc == PARSE_OK && pkt.flags & PKT_ICMP_ERROR)
		check_related(&skb, &pkt);
	free(frame);
	return 0;
}
