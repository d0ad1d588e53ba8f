import * as lvs from "pulumi-lvs";

const VIP = "10.77.1.100";

/** A pair of directors: both have the rules and tell each other their connections; keepalived decides who has the VIP. */
async function program() {
    const daemon = { interface: "eth0", syncid: 51 };
    const farm = new lvs.LvsCluster("farm", {
        directors: {
            lb1: { connection: "lb1", sync: { master: daemon, backup: daemon } },
            lb2: { connection: "lb2", sync: { master: daemon, backup: daemon } },
        },
        services: {
            web: { protocol: "tcp", address: VIP, port: 80, scheduler: "rr", vip: { external: true } },
        },
        realServers: {
            web1: { address: "10.77.1.21", forwarding: "dr", connection: "web1" },
            web2: { address: "10.77.1.22", forwarding: "dr", connection: "web2" },
        },
    });
    return { url: `http://${VIP}/`, directors: Object.values(farm.directors).map(({ id }) => id) };
}

// Pulumi calls the function that a program exports; a test or a program of one's own takes it by its name.
export = Object.assign(program, { program });
