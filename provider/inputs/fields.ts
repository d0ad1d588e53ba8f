/** The fields that several inputs share, each with its range, unit and default. Reference pages are made of these. */
import { z } from "zod";
import { canonicalAddress, familyOf, fullPrefix } from "../ipvs/address";
import { type Limit, limits } from "../ipvs/limits";
import { connectionSchema } from "../ssh/connection";

const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** A text of one line: a line break or control character is never meant, and is refused everywhere. */
export const text = z.string().refine((value) => !control.test(value), {
    error: "must not hold line breaks or control characters",
    abort: true,
});

/** A whole number within the range that ipvsadm and the kernel take. */
export function whole(
    { min, max }: Pick<Limit, "min" | "max">,
    message = `expected a whole number from ${min} to ${max}`,
) {
    return z.number({ error: message }).int(message).min(min, message).max(max, message);
}

/** An IPv4 or IPv6 address, stored in its canonical form. */
export const address = text.transform((value, context) => reading(() => canonicalAddress(value), context));

/** A network: an address with a prefix length, or an address alone, which is that one host. */
export const network = text.transform((value, context) =>
    reading(() => {
        const at = value.indexOf("/");
        const base = canonicalAddress(at < 0 ? value : value.slice(0, at));
        const most = fullPrefix(familyOf(base));
        const length = at < 0 ? String(most) : value.slice(at + 1);
        if (!/^\d{1,3}$/.test(length) || Number(length) > most) {
            throw new Error(`${JSON.stringify(value)} is not a network: its prefix length is 0 to ${most}`);
        }
        return `${base}/${Number(length)}`;
    }, context),
);

/** The name of a network interface, as the kernel takes it. */
export const device = text
    .min(1, { error: "must not be empty", abort: true })
    .max(15, { error: "a network interface's name has at most 15 characters", abort: true })
    .regex(/^[^:]+$/, {
        error: "names an alias, which the kernel has no interface for: leave out what begins with the colon",
        abort: true,
    })
    .regex(/^[A-Za-z0-9_.@-]+$/, { error: "is not the name of a network interface", abort: true })
    .refine((value) => value !== "." && value !== "..", "is not the name of a network interface");

/** Schemas that take a value as it is after another one has looked at it: which one knows what may stand in it. */
export const standsFor = new WeakMap<object, object>();

const connectionMap = z.custom<Record<string, unknown>>(isObject);
standsFor.set(connectionMap, connectionSchema);

/** A connection: its name in the config `lvs:hosts`, or the connection itself. */
export const connection = z
    .union([text.min(1, "must not be empty"), connectionMap], {
        error: "expected the name of an entry of lvs:hosts, or a connection with at least `host`",
    })
    .superRefine((value, context) => {
        if (typeof value === "string") return;
        const parsed = connectionSchema.safeParse(value);
        for (const issue of parsed.error?.issues ?? []) context.addIssue({ ...issue, message: issue.message } as never);
    })
    .describe(
        "How to reach the host: the name of an entry of the stack config lvs:hosts (recommended: credentials stay out of the state), or an SSH connection.",
    );

/** Kernel settings by name. Only those of the network: the rest of a host is nobody's business here. */
export const sysctls = z
    .record(
        z
            .string()
            .regex(
                /^net[./][A-Za-z0-9_][A-Za-z0-9_./:@-]*$/,
                "expected the name of a setting below net., such as net.ipv4.vs.conntrack",
            ),
        z.union([text.min(1, "must not be empty"), z.number().transform(String)], {
            error: "expected a text or a number",
        }),
    )
    .superRefine((value, context) => {
        for (const name of Object.keys(value)) {
            if (name.split(/[./]/).includes(""))
                context.addIssue({ code: "custom", path: [name], message: "is not the name of a setting" });
        }
    })
    .transform((value) => Object.fromEntries(Object.entries(value).map(([name, setting]) => [dotted(name), setting])));

/** `net/ipv4/conf/eth0.1/rp_filter` is another spelling of `net.ipv4.conf.eth0/1.rp_filter`: the first separator decides. */
function dotted(name: string): string {
    return name.charAt(3) === "/" ? name.replace(/[./]/g, (c) => (c === "." ? "/" : ".")) : name;
}

/** Who the resource is, made by the SDK: `<organization>/<project>/<stack>#<type>/<name>`. */
export const owner = text.regex(/^[^#\s]+#\S.*$/, "is made by the SDK of pulumi-lvs");

/** How long connections are waited for before a real server is removed. */
export const drain = z.strictObject({
    timeout: whole({ min: 0, max: 3600 })
        .describe(
            "Seconds to wait, at weight 0, for active connections to end before the real server is removed. 0: do not wait. Default 30.",
        )
        .optional(),
});

export const port = whole(limits.servicePort);

const ends = (value: string) => (/^\d{1,5}-\d{1,5}$/.test(value) ? value.split("-").map(Number) : []);
const portRange = z
    .string()
    .refine((value) => {
        const [first = 0, last = 0] = ends(value);
        return 1 <= first && first < last && last <= limits.servicePort.max;
    })
    .transform((value) => ends(value).join("-"));

const whichPorts = `expected a whole number from ${limits.servicePort.min} to ${limits.servicePort.max}, or a range such as 10000-20000`;

/** A port, 0 for every port, or a range of them: `10000-20000`. */
export const ports = z.union([whole(limits.servicePort, whichPorts), portRange], { error: whichPorts });

/** What two fields say against each other, with the code of it. */
export function contradiction(
    context: { addIssue(issue: { code: "custom"; message: string; path: PropertyKey[] }): void },
    path: PropertyKey[],
    message: string,
): void {
    context.addIssue({ code: "custom", path, message: `${message} [LVS-CONTRADICTION]` });
}

/** Turns an exception of a reader into an issue of the schema. */
export function reading<T>(
    read: () => T,
    context: { addIssue(issue: { code: "custom"; message: string; path?: PropertyKey[] }): void },
    path: PropertyKey[] = [],
): T {
    try {
        return read();
    } catch (error) {
        context.addIssue({ code: "custom", message: (error as Error).message, path });
        return z.NEVER;
    }
}

export function isObject(value: unknown): value is Record<string, unknown> {
    return value !== null && typeof value === "object" && !Array.isArray(value);
}
