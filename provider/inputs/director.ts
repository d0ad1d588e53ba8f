/** The inputs of a Director. */
import { z } from "zod";
import { familyOf, networkOf } from "../ipvs/address";
import { limits } from "../ipvs/limits";
import { parseServiceKey, serviceKey } from "../ipvs/model";
import { address, connection, contradiction, device, network, owner, sysctls, text, whole } from "./fields";
import { canonicalService, type InlineService, inlineService } from "./service";

const daemon = z.strictObject({
    interface: device.describe("Interface that sync messages go through."),
    syncid: whole(limits.syncId).describe("Only messages with the same id are taken, 0 to 255. Default 0.").optional(),
    maxlen: whole(limits.syncMaxlen)
        .describe("Bytes of a sync message. Default: the kernel's, by the interface's MTU.")
        .optional(),
    group: address.describe("Multicast group. Default 224.0.0.81.").optional(),
    port: whole(limits.syncPort).describe("UDP port. Default 8848.").optional(),
    ttl: whole(limits.syncTtl).describe("Multicast TTL. Default 1.").optional(),
});

const { min, max } = limits.timeout;
/** ipvsadm's 0 leaves one alone; here that is said by leaving it out. */
const timeout = whole(limits.timeout, `expected a whole number from ${min} to ${max}, or nothing to leave it alone`);

const masquerade = z
    .strictObject({
        source: network.describe("Network whose packets get the director's address, such as 10.0.0.0/24."),
        destination: network.describe("Only packets to this network. Default: to anywhere.").optional(),
        to: address
            .describe("The address that they get (SNAT). Default: the one of the interface that they leave by.")
            .optional(),
    })
    .superRefine((value, context) => {
        if (value.to !== undefined && familyOf(value.source) !== familyOf(value.to)) {
            contradiction(context, ["to"], "source and the address that it gets are of one family");
        }
        if (value.destination !== undefined && familyOf(value.source) !== familyOf(value.destination)) {
            contradiction(context, ["destination"], "source and destination are of one family");
        }
    });

export const directorSchema = z.strictObject({
    connection,
    name: text
        .min(1, { error: "must not be empty", abort: true })
        .regex(/^[^\s/#]+$/, "must not hold spaces, / or #")
        .describe("Name in IDs and messages. Default: the connection's name, else host[:port]."),
    interface: device.describe("Interface that takes VIPs. Needed only where one goes on this director.").optional(),
    ipForward: z
        .boolean()
        .describe("IPv4 forwarding of the host. Default: on where a real server is reached by nat, else left alone.")
        .optional(),
    ipv6Forward: z
        .boolean()
        .describe(
            "IPv6 forwarding of the host. Interfaces that take router advertisements go on doing so (accept_ra 1 becomes 2). Default: on where a real server is reached by nat over IPv6, else left alone.",
        )
        .optional(),
    sysctls: sysctls.describe("Kernel settings by name, such as net.ipv4.vs.expire_nodest_conn.").optional(),
    timeouts: z
        .strictObject({
            tcp: timeout.describe("Seconds for TCP connections. Default: left alone.").optional(),
            tcpfin: timeout.describe("Seconds for TCP connections after a FIN. Default: left alone.").optional(),
            udp: timeout.describe("Seconds for UDP. Default: left alone.").optional(),
        })
        .describe("Seconds until idle connections are forgotten.")
        .optional(),
    connTabBits: whole(limits.connTabBits)
        .describe("The connection table has 2^N places; taken when ip_vs is loaded. Default: the kernel's.")
        .optional(),
    masquerade: z
        .array(masquerade)
        .superRefine((list, context) => {
            const everywhere = { ipv4: "0.0.0.0/0", ipv6: "::/0" };
            const networks = list.map(({ source, destination }) =>
                [source, destination ?? everywhere[familyOf(source)]].map(networkOf).join(),
            );
            for (const [index, each] of networks.entries()) {
                const same = networks.indexOf(each);
                if (same !== index)
                    contradiction(context, [index], `are the networks of masquerade[${same}] once more`);
            }
        })
        .describe("Source networks to masquerade, each with an optional destination.")
        .optional(),
    sync: z
        .strictObject({
            master: daemon.describe("Sends this director's connections. Default: none.").optional(),
            backup: daemon.describe("Takes other directors' connections. Default: none.").optional(),
        })
        .describe("Connection synchronisation with other directors: a master daemon, a backup daemon, or both.")
        .optional(),
    ftp: z
        .strictObject({
            ports: z
                .array(whole({ min: 1, max: 65535 }))
                .min(1, "must name a port")
                .max(8, "ip_vs_ftp takes at most 8 ports")
                .describe("Control ports. Default 21.")
                .optional(),
        })
        .describe("FTP helper (ip_vs_ftp), for FTP by nat. Default: not loaded.")
        .optional(),
    virtualServices: z
        .record(text, inlineService)
        .transform((services, context) => {
            const canonical: Record<string, InlineService> = {};
            const spelled = new Map<string, string>();
            for (const [key, service] of Object.entries(services)) {
                const say = (message: string) => context.addIssue({ code: "custom", path: [key], message });
                try {
                    const id = parseServiceKey(key);
                    const place = serviceKey(id);
                    if (spelled.has(place))
                        say(
                            `${JSON.stringify(spelled.get(place))} and ${JSON.stringify(key)} are two spellings of one service`,
                        );
                    spelled.set(place, key);
                    const below = {
                        ...context,
                        addIssue: (issue: { path?: PropertyKey[] }) =>
                            context.addIssue({ ...issue, path: [key, ...(issue.path ?? [])] } as never),
                    };
                    canonical[place] = canonicalService(id, service, below as never);
                } catch (error) {
                    say((error as Error).message);
                }
            }
            return canonical;
        })
        .describe("Virtual services by key: `tcp/192.0.2.100:80`, `udp/[2001:db8::1]:53`, `fwm/1`, `fwm6/1`.")
        .optional(),
    persistAcrossReboot: z
        .boolean()
        .describe("Set everything up again at boot; needs systemd. Default true.")
        .optional(),
    adopt: z
        .boolean()
        .describe("Take over services and rules that exist already; destroy then removes them. Default false.")
        .optional(),
    owner,
});
export type DirectorInputs = z.infer<typeof directorSchema>;
