/** What a refresh says that differs: of the kernel, and of the resource's own ledger file. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseInputs } from "../../../provider/inputs/parse";
import type { Value } from "../../../provider/kinds";
import type { Want } from "../../../provider/kinds/want";
import { differences, type Identity } from "../../../provider/reconcile/drift";
import { plan } from "../../../provider/reconcile/plan";
import { parseState } from "../../../provider/reconcile/state";
import { director } from "../../../provider/resources/director";
import { realServer } from "../../../provider/resources/realServer";
import type { Resource } from "../../../provider/resources/resource";
import { virtualService } from "../../../provider/resources/virtualService";
import {
    carryOut,
    destination,
    interrupted,
    requestOf,
    SERVICE,
    SYSCTL,
    serverKey,
    service,
    stateOf,
    thingsOf,
    want,
} from "./world";

const identity: Identity = requestOf();
const web = (scheduler = "wlc", more: Want[] = []): Want[] => [want("service", SERVICE, service(scheduler)), ...more];
const server = (address: string, weight = 1): Want => want("destination", serverKey(address), destination(weight));
const made = (wants: Want[]) => carryOut(requestOf({ creating: true, wants }), stateOf());
const differs = (wants: Want[], state: ReturnType<typeof stateOf>) => differences("dir", identity, wants, state);

test("what was made as it is declared differs in nothing", () => {
    const wants = web("wlc", [server("192.0.2.21"), want("sysctl", SYSCTL, "1")]);
    expect(differs(wants, made(wants))).toEqual({ drift: {}, found: new Map(), there: true, notes: [] });
});

describe("an update that ran on the host, of which the state knows nothing,", () => {
    test("shows the value that it set, and is repaired by an update to what the state says", () => {
        const updated = carryOut(requestOf({ wants: web("rr") }), made(web()));
        const { drift, found } = differs(web(), updated);
        expect(drift).toEqual({ [`service ${SERVICE}`]: service("rr") });
        expect(found.get(`service ${SERVICE}`)).toEqual(service("rr"));
        const repaired = carryOut(requestOf({ wants: web() }), updated);
        expect(thingsOf(repaired)).toEqual({ service: { [SERVICE]: service() } });
        expect(differs(web(), repaired).drift).toEqual({});
    });

    test("shows what it added, and what it took away", () => {
        const [before, after] = [web("wlc", [server("192.0.2.21")]), web("wlc", [server("192.0.2.22")])];
        const updated = carryOut(requestOf({ wants: after }), made(before));
        expect(differs(before, updated).drift).toEqual({
            [`destination ${serverKey("192.0.2.21")}`]: "absent",
            [`destination ${serverKey("192.0.2.22")}`]: destination(),
        });
        expect(thingsOf(carryOut(requestOf({ wants: before }), updated))).toEqual(thingsOf(made(before)));
    });

    test("shows what it wrote into its file where it did not come to the kernel: a reboot would set it", () => {
        const state = made(web());
        const cut = interrupted(plan(requestOf({ wants: web("rr") }), state), state, 0);
        expect(differs(web(), cut)).toMatchObject({
            drift: { [`ledger on dir: service ${SERVICE}`]: service("rr") },
            found: new Map(),
        });
        expect(differs(web(), carryOut(requestOf({ wants: web() }), cut)).drift).toEqual({});
    });

    test("shows the claim that it gave up on what another resource keeps there", () => {
        const setting = want("sysctl", SYSCTL, "1");
        const both = carryOut(
            requestOf({ creating: true, owner: "org/shop/prod#Director/lb1", id: "dir", wants: [setting] }),
            made([...web(), setting]),
        );
        const updated = carryOut(requestOf({ wants: web() }), both);
        expect(differs([...web(), setting], updated).drift).toEqual({
            [`ledger on dir: sysctl ${SYSCTL}`]: "absent",
        });
    });

    test("shows what it made on a host of which nothing was wanted before", () => {
        const { drift, there } = differs([], made([server("192.0.2.21")].concat(web())));
        expect(Object.keys(drift).sort()).toEqual([`destination ${serverKey("192.0.2.21")}`, `service ${SERVICE}`]);
        expect(there).toBe(true);
    });
});

test("of two resources of one stack the newer one's value is no difference for the older", () => {
    const older = made([want("sysctl", SYSCTL, "1")]);
    const newer = requestOf({ creating: true, owner: "org/shop/prod#Director/lb1", id: "dir" });
    const both = carryOut({ ...newer, wants: () => [want("sysctl", SYSCTL, "0")] }, older);
    expect(thingsOf(both)["sysctl"]).toEqual({ [SYSCTL]: "0" });
    expect(differs([want("sysctl", SYSCTL, "1")], both).drift).toEqual({});
});

test("a weight that somebody else moves, and the boot files of another version, are no differences", () => {
    const kept = { ...server("192.0.2.21"), leave: ["weight"] };
    const boot = (value: string) => want("boot", "pulumi-lvs.service", value);
    const state = made(web("wlc", [kept, boot("1 1 enabled")]));
    (state.objects.get("destination") as Map<string, Value>).set(kept.key, destination(7));
    expect(differs(web("wlc", [kept, boot("2 2 enabled")]), state).drift).toEqual({});
});

describe("what version", () => {
    const golden = join(__dirname, "../../lab/golden");
    const versions = readdirSync(golden, { withFileTypes: true }).filter((each) => each.isDirectory());
    const resources: Record<string, Resource> = {
        Director: director,
        VirtualService: virtualService,
        RealServer: realServer,
    } as never;
    // The boot files, which are of their version, and the segment size for tunnels, which was no default then.
    const later = /^(boot pulumi-lvs\.service|mss .*|table inet pulumi_lvs)$/;

    test.each(versions.map(({ name }) => name))("%s has made is claimed as this version's wants say", (name) => {
        const read = (file: string) => JSON.parse(readFileSync(join(golden, name, file), "utf8"));
        const addresses: Record<string, string> = { lb1: "10.77.1.10", web1: "10.77.1.21", web2: "10.77.1.22" };
        const hosts = Object.fromEntries(
            Object.entries(read("hosts.json") as Record<string, Record<string, { text: string }>>).map(
                ([host, files]) => {
                    const ledger = Object.entries(files)
                        .filter(([path]) => path.endsWith(".claims"))
                        .flatMap(([path, { text }]) =>
                            text
                                .trimEnd()
                                .split("\n")
                                .map((line) => `${path}:${line}`),
                        );
                    const sections = {
                        facts: ["tool.ipvsadm", "tool.ip", "tool.nft"].map((tool) => `${tool}=yes`).join("\n"),
                        address: `2: eth0    inet ${addresses[host]}/24 scope global eth0\\       valid_lft forever`,
                        mtu: "eth0 1500",
                        ledger: ledger.join("\n"),
                        ledgerdir: "there",
                    };
                    const state = parseState(sections, "1 1");
                    for (const { claims } of state.ledger.values()) {
                        for (const { kind, key, value } of claims) {
                            const seen = kind === "link" ? { ...(value as object), up: true } : value;
                            (state.objects.get(kind) as Map<string, Value>).set(key, seen);
                        }
                    }
                    return [host, state];
                },
            ),
        );
        const deployment = read("state.json").deployment as {
            resources: { type: string; id: string; outputs: Record<string, unknown> }[];
        };
        let compared = 0;
        for (const { type, id, outputs } of deployment.resources) {
            const resource = resources[type.split(":").at(-1)!];
            if (resource === undefined) continue;
            const { __provider: _, token, schema: __, kernel: ___, ...inputs } = outputs;
            const { value, failures } = parseInputs(resource.schema, inputs);
            expect(failures).toEqual([]);
            for (const part of resource.parts(value)) {
                const state = hosts[part.connection as string]!;
                const who = { owner: String(inputs["owner"]), id, token: String(token) };
                const { drift, there } = differences(part.connection as string, who, part.wants(state), state);
                expect(there).toBe(true);
                expect(Object.keys(drift).filter((each) => !later.test(each))).toEqual([]);
                compared++;
            }
        }
        expect(compared).toBeGreaterThan(10);
    });
});
