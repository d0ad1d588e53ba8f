/** What the demo has to know of each example: who plays which part, and what a request through the VIP should show. */
import { join } from "node:path";
import { root } from "../tools/setup/places.mjs";

/**
 * @typedef {object} Topology
 * @property {string} name the directory under examples/
 * @property {string} title
 * @property {string} about what is special about this way of forwarding
 * @property {string} directory
 * @property {string} client
 * @property {string} director
 * @property {string[]} realServers
 * @property {string} url through the VIP
 * @property {{ name: string, service: string, realServer: string, forwarding: string, weight: number, wrong: number }} byHand
 *     the rule that somebody changes behind the provider's back, in ipvsadm's words
 * @property {Record<string, number>} shares real server → its share of the requests
 * @property {boolean} exact the scheduler deals out exactly these shares, not only about
 * @property {{ what: string, command: string, has: RegExp }} otherEnd the real server's own side, and what it has to have
 */

/** What the three have in common. @param {string} name @param {string} network the real servers' */
const common = (name, network) => ({
    name,
    directory: join(root, "examples", name),
    client: "client",
    director: "lb1",
    realServers: ["web1", "web2"],
    url: "http://10.77.1.100/",
    shares: { web1: 2, web2: 1 },
    byHand: { name: "web1", service: "-t 10.77.1.100:80", realServer: `${network}.21:80`, weight: 2, wrong: 7 },
});

/** @param {ReturnType<typeof common>} topology @param {string} flag ipvsadm's for the forwarding method */
const by = ({ byHand, ...rest }, flag) => ({ ...rest, byHand: { ...byHand, forwarding: flag } });

/** @type {Record<string, Topology>} */
export const topologies = {
    dr: {
        ...by(common("dr", "10.77.1"), "-g"),
        title: "direct routing",
        about: `The director passes each packet on to the real server's MAC address, and the real server answers the
            client by itself. For that every real server has the VIP too, and must not answer ARP for it. This is the
            end of the topology that other tools leave to you.`,
        exact: true,
        otherEnd: {
            what: "The real server has the VIP on lo, and keeps silent about it:",
            command: "ip -br address show lo; sysctl net.ipv4.conf.eth0.arp_ignore net.ipv4.conf.eth0.arp_announce",
            has: /10\.77\.1\.100\/32.*arp_ignore = 1\n.*arp_announce = 2\n/s,
        },
    },
    nat: {
        ...by(common("nat", "10.77.2"), "-m"),
        title: "NAT",
        about: `The director rewrites each packet's destination to a real server on the network behind it, and the
            answer's source back to the VIP. For that it forwards between its networks, and the real servers' way out
            goes through it.`,
        exact: false,
        otherEnd: {
            what: "The real server's way back goes through the director; that was checked, not changed:",
            command: "ip route show default",
            has: /^default via 10\.77\.2\.1 /,
        },
    },
    tun: {
        ...by(common("tun", "10.77.5"), "-i"),
        title: "tunnels",
        about: `The director wraps each packet and sends it to a real server on another network, which unwraps it and
            answers the client by itself. For that every real server has a tunnel device with the VIP on it.`,
        exact: true,
        otherEnd: {
            what: "The real server has a tunnel device of its own for this, with the VIP on it:",
            command: "ip -br address | grep lvs-; sysctl -a 2>/dev/null | grep 'conf.lvs-.*\\.rp_filter'",
            has: /^lvs-\S+ .*10\.77\.1\.100\/32.*rp_filter = 2\n/s,
        },
    },
};
