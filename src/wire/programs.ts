/* Generated from the compiled objects by `npm run gen`; not to be edited. */

/** The programs of each object `build/bpf/<object>.bpf.o`, and their sections. */
export const PROGRAMS = {
  flow: {
    stage_decide: { section: 'tc' },
    stage_parse: { section: 'tc' },
    stage_relate: { section: 'tc' },
    stage_report: { section: 'tc' },
  },
  gc: {
    clock_sample: { section: 'syscall' },
    flow_gc_any4: { section: 'iter/bpf_map_elem' },
    flow_gc_any6: { section: 'iter/bpf_map_elem' },
    flow_gc_overflow4: { section: 'iter/bpf_map_elem' },
    flow_gc_overflow6: { section: 'iter/bpf_map_elem' },
    flow_gc_tcp4: { section: 'iter/bpf_map_elem' },
    flow_gc_tcp6: { section: 'iter/bpf_map_elem' },
    flow_gc_unproven4: { section: 'iter/bpf_map_elem' },
    flow_gc_unproven6: { section: 'iter/bpf_map_elem' },
    ipcache_feed: { section: 'syscall' },
  },
  host: {
    host_egress: { section: 'tc' },
    host_egress_l3: { section: 'tc' },
    host_ingress: { section: 'tc' },
    host_ingress_l3: { section: 'tc' },
  },
  pod: {
    pod_egress: { section: 'tc' },
    pod_ingress: { section: 'tc' },
  },
  xdp: {
    xdp_host: { section: 'xdp.frags' },
  },
} as const;
export type ObjectName = keyof typeof PROGRAMS;
