/**
 * Every code that this package says, as data: documentation and tests are held against it. A code never changes its
 * meaning once it is released. `error`: it cannot work, or ipvsadm or the kernel would refuse or silently rewrite it.
 * Everything else is a warning.
 */
import type { Finding } from "../kinds/want";

export interface Code {
    severity: Finding["severity"];
    /**
     * When it speaks. `preview`: from the program alone. `apply`: from what a host shows, before anything is touched.
     * `both`: as soon as it is known. `run`: from ledgers, or from what came back of a script.
     */
    moment: "preview" | "apply" | "both" | "run";
    /** In a line; its page is docs/checks/<code>.md. */
    title: string;
}

const error = (moment: Code["moment"], title: string): Code => ({ severity: "error", moment, title });
const warning = (moment: Code["moment"], title: string): Code => ({ severity: "warning", moment, title });

export const codes = {
    // Services and their real servers.
    "LVS-PORT-0": error("preview", "port 0 without persistence"),
    "LVS-OPS-PROTOCOL": error("preview", "one-packet scheduling of tcp or sctp"),
    "LVS-SIP-PROTOCOL": warning("preview", "persistence by Call-ID for a protocol that SIP's engine does not read"),
    "LVS-SCHEDULER-FLAGS": warning("preview", "flags that the scheduler ignores"),
    "LVS-WEIGHT-IGNORED": warning("preview", "different weights under a scheduler that ignores weights"),
    "LVS-NO-FALLBACK": warning("both", "sh or mh with a drained real server and without fallback"),
    "LVS-THRESHOLD-PERSISTENCE": warning("both", "a threshold that persistence passes by"),
    "LVS-DRAIN-PERSISTENCE": warning("apply", "a drain that persistence keeps from ending"),
    "LVS-DRAIN-UDP": warning("apply", "a drain of udp, whose clients stay where they are"),
    "LVS-FORMER-METHOD": warning("apply", "clients that are still sent by the former forwarding method"),
    "LVS-DR-PORT": error("preview", "dr or tun with a port of its own"),
    "LVS-FAMILY": error("preview", "a real server of another family than its service's"),
    "LVS-NOT-UNICAST": error("preview", "a VIP or a real server's address that is not one host's"),
    "LVS-WEIGHT-RANGE": warning("apply", "a weight that ipvsadm without Debian's patch refuses"),
    "LVS-TABLE-KEPT": warning("apply", "a program of Kubernetes that keeps the same table"),
    "LVS-CHECKER": warning("apply", "a health checker that writes weights which are declared"),
    // Firewall marks.
    "LVS-MARK-TWICE": error("preview", "one address and port with two firewall marks"),
    "LVS-MARK-FAMILY": warning("preview", "marked traffic of the other family than the service's"),
    "LVS-MARK-SHADOWS": warning("both", "a service whose traffic a firewall mark takes away"),
    "LVS-VIP-UNUSED": warning("preview", "a place for a VIP, and no VIP to put there"),
    // The director.
    "LVS-NAT-FORWARD": error("preview", "nat with forwarding switched off"),
    "LVS-FORWARD-TWICE": error("preview", "`ipForward` or `ipv6Forward` and `sysctls` contradict each other"),
    "LVS-MASQUERADE-CONNTRACK": error("preview", "masquerading without net.ipv4.vs.conntrack"),
    "LVS-SNAT-ADDRESS": warning("apply", "masquerading by an address that the director does not have"),
    "LVS-FTP-METHOD": warning("preview", "the FTP helper with dr or tun"),
    "LVS-SYNC-MAXLEN": error("preview", "a sync daemon's maxlen that the kernel changes"),
    "LVS-SYNC-GROUP": error("preview", "a sync daemon's group that is no multicast address"),
    "LVS-SYNC-ID": warning("preview", "two masters whose connections mix"),
    "LVS-BACKUP-ONLY": error("preview", "a master that a backup daemon keeps from balancing"),
    "LVS-SYSCTL-VALUE": error("preview", "a value that a net.ipv4.vs setting does not take"),
    "LVS-SYSCTL": error("apply", "a net.ipv4.vs setting that the running kernel does not have"),
    "LVS-CONN-TAB": error("apply", "a size that the connection table does not take"),
    "LVS-REUSE-DELAY": warning("apply", "a second's delay of reused ports on kernels before 5.9"),
    "LVS-OWN-SSH": error("both", "a service that would take the SSH connection to its own director"),
    "LVS-NO-VIP": error("apply", "a VIP that nobody brings to the director"),
    "LVS-VIP-TWICE": error("preview", "one VIP on two directors"),
    "LVS-INPUT-DROP": warning("apply", "a packet filter that drops what arrives for the service"),
    "LVS-FORWARD-DROP": warning("apply", "a packet filter that drops the answers of nat"),
    // Director and real server.
    "LVS-DR-ROUTE": warning("apply", "dr to a real server behind a router"),
    "LVS-LOOP": warning("apply", "two directors that are each other's real servers"),
    "LVS-LOCALNODE": warning(
        "both",
        "the director as its own real server, by a method that does not work or is not used",
    ),
    "LVS-TUN-MTU": warning("apply", "a tunnel whose packets are too small"),
    "LVS-TUN-KERNEL": warning("apply", "a tunnel type that is younger than the director's kernel"),
    "LVS-V6-SOURCE": warning("apply", "a VIP as the source address of tunnels"),
    // The real server's own side.
    "LVS-HOST-TWICE": error("apply", "a director that is a real server by another connection"),
    "LVS-RIP-ELSEWHERE": error("apply", "a real server's host that does not hold its address"),
    "LVS-NAT-RETURN": warning("apply", "nat without a way back"),
    "LVS-GATEWAY": error("apply", "a gateway that the real server cannot reach"),
    "LVS-GATEWAY-SSH": error("apply", "a default route whose change would cut off the SSH connection"),
    "LVS-REDIRECT": error("preview", "a redirection that cannot be made"),
    "LVS-RP-FILTER": warning("apply", "a reverse-path filter that drops what the director sends"),
    "LVS-VIP-DEVICE": warning("apply", "a real server that answers ARP for the VIP"),
    // What a host has.
    "LVS-NOT-ROOT": error("apply", "a user who is not root"),
    "LVS-TOOL": error("apply", "a program that the host does not have"),
    "LVS-IPVSADM": error("apply", "an ipvsadm that does not know what is asked for"),
    "LVS-NO-SYSTEMD": error("apply", "persistence over a reboot without systemd"),
    "LVS-NO-ARPING": warning("apply", "neither perl nor iputils' arping: VIPs are not announced, nor added at boot"),
    "LVS-MODULE": error("apply", "a kernel module that is not there"),
    "LVS-MODULE-BLOCKED": error("apply", "a kernel module that is switched off"),
    "LVS-NO-INTERFACE": error("apply", "an interface that the host does not have"),
    // The program as a whole.
    "LVS-NO-EFFECT": warning("preview", "an input that nothing comes of"),
    "LVS-CONTRADICTION": error("both", "two resources, or two inputs of one, that contradict each other"),
    "LVS-DECLARED-TWICE": warning("preview", "two resources that declare the same"),
    // Ledgers, and what came back of a script.
    "LVS-EXISTS": error("run", "something that nobody declared is there already"),
    "LVS-CLASH": error("run", "another stack wants another value"),
    "LVS-NO-SERVICE": error("run", "a real server's service is not on the director"),
    "LVS-FOREIGN-SERVERS": error("run", "a service with real servers that are not ours"),
    "LVS-LEDGER-NEWER": error("run", "a ledger file of a newer version"),
    "LVS-LEDGER-DAMAGED": error("run", "a ledger file that cannot be read"),
    "LVS-STEP": error("run", "a command on the host failed"),
    "LVS-VERIFY": error("run", "the host holds another value than was set"),
    "LVS-RESTLESS": error("run", "the host keeps changing"),
    "LVS-BUSY": error("run", "another run holds the host's lock"),
    "LVS-TIMEOUT": error("run", "a script took too long"),
    "LVS-RUN": error("run", "/run cannot be written"),
    "LVS-ANSWER": error("run", "an answer that is not whole"),
    "LVS-SCRIPT": error("run", "a script ended before it said anything"),
} as const satisfies Record<string, Code>;

export type CodeName = keyof typeof codes;

/** A finding with the severity that its code has. */
export function finding(code: CodeName, property: string, message: string): Finding {
    return { code, severity: codes[code].severity, property, message };
}
