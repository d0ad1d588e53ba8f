import * as lvs from "pulumi-lvs";

/** Every kind of object that this version manages, but for what needs a kernel or a machine of its own. */
export const program = (weight: number) => async (): Promise<void> => {
    const tcp = { protocol: "tcp", port: 80 } as const;
    const director = new lvs.Director("lb1", {
        connection: "lb1",
        interface: "eth0",
        sysctls: { "net.ipv4.vs.expire_nodest_conn": 1, "net.ipv4.vs.expire_quiescent_template": 1 },
        timeouts: { tcpfin: 60, udp: 77 },
        masquerade: [{ source: "192.168.0.0/16" }],
        sync: { master: { interface: "eth0", syncid: 3 }, backup: { interface: "eth0", syncid: 3 } },
        virtualServices: {
            "udp/10.77.1.104:53": { scheduler: "rr", onePacket: true, realServers: { "10.77.1.21": {}, "10.77.1.22": {} } },
        },
    });

    const dr = new lvs.VirtualService("dr", { director, ...tcp, address: "10.77.1.100", scheduler: "wrr", persistence: { timeout: 120 } });
    new lvs.RealServer("dr1", { service: dr, address: "10.77.1.21", weight, upperThreshold: 900, lowerThreshold: 700, connection: "web1" });
    new lvs.RealServer("dr2", { service: dr, address: "10.77.1.22", keepWeight: true, connection: "web2" });

    const nat = new lvs.VirtualService("nat", { director, ...tcp, address: "10.77.1.101", scheduler: "mh", schedulerFlags: ["mh-port", "mh-fallback"] });
    new lvs.RealServer("nat1", { service: nat, address: "10.77.1.21", port: 8080, forwarding: "nat" });

    const tun = new lvs.VirtualService("tun", { director, ...tcp, address: "10.77.1.102" });
    new lvs.RealServer("tun1", { service: tun, address: "10.77.1.21", forwarding: "tun", connection: "web1" });
    new lvs.RealServer("tun2", { service: tun, address: "10.77.1.22", forwarding: "tun", tunnel: { type: "gue", port: 6080, checksum: "csum" }, connection: "web2" });

    const marks = [80, 443].map((port) => ({ protocol: "tcp" as const, address: "10.77.1.103", port }));
    const mark = new lvs.VirtualService("mark", { director, fwmark: 4294967295, marks, realServers: { "10.77.1.22:0": { forwarding: "dr" } } });
    new lvs.RealServer("mark1", { service: mark, address: "10.77.1.21", connection: "web1" });
};
