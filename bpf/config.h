/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Load-time settings: the loader writes them into .rodata before load, the verifier then prunes what they
 * switch off. Every object has all of them, in this order.
 */
#ifndef MERLON_CONFIG_H
#define MERLON_CONFIG_H

#include <linux/types.h>
#include "types.h"

/* Whose programs these are; equals instance.id of the pinned map. */
const volatile __u64 cfg_instance_id = 0;

/* Ticks a second of the kernel (CONFIG_HZ), and 2^32 divided by it, rounded down. */
const volatile __u32 cfg_hz = 250;
const volatile __u32 cfg_hz_reciprocal = 17179869;

/* Timeouts of flow records, seconds (HF-3.4). */
const volatile __u32 cfg_timeout_tcp_syn = 60;
const volatile __u32 cfg_timeout_tcp = 8000;
const volatile __u32 cfg_timeout_tcp_fin = 10;
const volatile __u32 cfg_timeout_udp = 60;
const volatile __u32 cfg_timeout_udp_stream = 120;
const volatile __u32 cfg_timeout_icmp = 60;
const volatile __u32 cfg_timeout_generic = 600;
const volatile __u32 cfg_timeout_frag = 30;

/* Events: tokens a second and burst of each ring; the ring of a CPU is its number shifted right. */
const volatile __u32 cfg_event_rate = 2000;
const volatile __u32 cfg_event_burst = 5000;
const volatile __u32 cfg_ring_shift = 0;

/* Refusals of one tuple within so many seconds of its last event make none, but are counted (HF-5.5). */
const volatile __u32 cfg_drop_window = 5;

/* ICMPv6 errors that pass without policy: tokens a second and burst of each device (HF-2.3). */
const volatile __u32 cfg_icmp6_error_rate = 1000;
const volatile __u32 cfg_icmp6_error_burst = 2000;

/* Entries of the unproven tables, each a set of places. */
const volatile __u32 cfg_unproven_sets = 4096 / UNPROVEN_WAYS;

/* Identities of addresses that no prefix of the ipcache covers. */
const volatile __u32 cfg_identity_world4 = 9;
const volatile __u32 cfg_identity_world6 = 10;

/* net.ipv4.ip_local_port_range, host order: where answers to our own questions arrive (HF-6.1). */
const volatile __u16 cfg_local_port_first = 32768;
const volatile __u16 cfg_local_port_last = 60999;

/* Bits of skb->mark that are ours: kind and identity (marks-and-ports). Cleared of what comes in. */
const volatile __u32 cfg_mark_mask = 0xffff0fff;
const volatile __u32 cfg_mark_kind_mask = 0x00000f00;

/* Built-ins (HF-2.2 to 2.4). */
const volatile __u8 cfg_builtin_dhcp = 1;
const volatile __u8 cfg_allow_icmp_frag_needed = 1;
const volatile __u8 cfg_icmp6_redirect_pass = 0;

/* Families of which the node takes nothing that policy would judge (HF-2.1). */
const volatile __u8 cfg_no_ipv4 = 0;
const volatile __u8 cfg_no_ipv6 = 0;

/*
 * hostfw.strictEthertypes: only these non-IP ethertypes pass, and ARP, and frames that tell a length
 * instead. Host order, four a word, 0 = none.
 */
const volatile __u8 cfg_strict_ethertypes = 0;
const volatile __u64 cfg_ethertypes0 = 0;
const volatile __u64 cfg_ethertypes1 = 0;
const volatile __u64 cfg_ethertypes2 = 0;
const volatile __u64 cfg_ethertypes3 = 0;

/* Outer packets of our own tunnel and WireGuard, to and from known nodes (HF-1.1 rows 10, 11); 0 = off. */
const volatile __u16 cfg_tunnel_port = 0;
const volatile __u16 cfg_wireguard_port = 0;

/* VRRP and IGMP of pods are a matter of their policy (enable-extended-ip-protocols), else unknown. */
const volatile __u8 cfg_extended_protocols = 0;

/* The kernel has bpf_xdp_get_buff_len (5.18); without it no frame is in parts. */
const volatile __u8 cfg_xdp_buff_len = 1;

#endif
