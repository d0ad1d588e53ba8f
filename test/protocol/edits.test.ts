/**
 * IPVS's whole vocabulary on a real kernel, by the provider's own process: every attribute with every legal change, and
 * random tables. Many services at once, as one director declares them inline. A seeded sample in `npm test`, everything
 * with LVS_EXHAUSTIVE=1; FC_SEED takes another sample.
 */
import { join } from "node:path";
import * as fc from "fast-check";
import { familyOf } from "../../provider/ipvs/address";
import { familyOfService, forcedPort, parseDestinationKey } from "../../provider/ipvs/model";
import { parseTable } from "../../provider/ipvs/parse";
import { type Lab, startLab } from "../support/lab";
import { exhaustive, seed } from "../support/sample";
import { destinations, type RandomTable, serviceValues, tables } from "../unit/ipvs/arbitraries";
import { type Edit, everyEdit, type Table } from "./support/edits";
import { type Properties, ProviderProcess, type State } from "./support/process";

/** Edits that go in one change of one director: of those that change the scheduler the kernel takes a moment each. */
const CHUNK = exhaustive ? 240 : 25;

let lab: Lab;
let provider: ProviderProcess;
let director: State;

const declared = (virtualServices: Properties): Properties => ({
    ...{ name: "dir", connection: "dir", persistAcrossReboot: false, virtualServices },
    owner: "organization/shop/prod#Director/dir",
});

beforeAll(async () => {
    lab = await startLab(join(__dirname, "hosts.json"));
    provider = await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts("dir"), "lvs:commandTimeout": "300" });
    director = await provider.create("Director", declared({}));
});

afterAll(async () => {
    await provider?.stop();
    await lab?.down();
});

/** Brings the director to these services, as an up does, and holds the kernel and a second up against them. */
async function up(virtualServices: Properties): Promise<void> {
    const news = declared(virtualServices);
    expect((await provider.diff(director, news)).replaces).toEqual([]);
    director = await provider.update(director, news);
}

/** A second up and a refresh find nothing to do. */
async function expectQuiet(): Promise<void> {
    const found = await provider.read(director);
    expect(found?.outputs["drift"]).toBeUndefined();
    expect(await provider.diff(found!, director.inputs)).toEqual({ changes: false, replaces: [] });
}

describe("every attribute, every legal change:", () => {
    const all = everyEdit();
    const edits = exhaustive
        ? all
        : fc.sample(fc.shuffledSubarray(all, { minLength: CHUNK, maxLength: CHUNK }), { seed, numRuns: 1 })[0]!;
    const chunks = Array.from({ length: Math.ceil(edits.length / CHUNK) }, (_, index) =>
        edits.slice(index * CHUNK, (index + 1) * CHUNK),
    );

    afterAll(() => {
        const attributes = new Set(all.map(({ attribute, service }) => `${attribute} of ${service.says}`));
        const tried = new Set(edits.map(({ attribute, service }) => `${attribute} of ${service.says}`));
        console.log(
            `edits: ${edits.length} of ${all.length}, ${tried.size} of ${attributes.size} attributes of kinds of service` +
                (exhaustive ? "" : `, seed ${seed}`),
        );
    });

    /** Weighs nothing and is nobody's: that it is still there says that its service was not made anew. */
    const foreign = (edit: Edit) =>
        `-a ${edit.service.words.replace(/-f -(\d+)/, (_, mark) => `-f ${2 ** 32 - Number(mark)}`)} ` +
        `-r ${edit.service.family === 4 ? "10.99.0.99" : "fd00:99::99"}${edit.service.family === 4 ? `:${edit.service.port ?? 0}` : ""} -i -w 0`;

    const services = (list: Edit[], at: "before" | "after"): Properties =>
        Object.fromEntries(
            list.map((edit) => [
                edit.service.key,
                {
                    ...edit[at].service.inputs,
                    realServers: Object.fromEntries(edit[at].servers.map(({ key, inputs }) => [key, inputs])),
                    vip: { external: true },
                },
            ]),
        );

    const place = (edit: Edit) =>
        edit.service.family === 4 ? `10.99.0.99:${edit.service.port ?? 0}` : `[fd00:99::99]:${edit.service.port ?? 0}`;

    const lines = (edit: Edit, { service, servers }: Table): string[] => [
        `-A ${edit.service.words} ${service.words}`,
        ...servers.map((server) => `-a ${edit.service.words} -r ${server.place} ${server.words}`),
        `-a ${edit.service.words} -r ${place(edit)} -i -w 0 --tun-type ipip`,
    ];

    const saved = async () => (await lab.sh("dir", "ipvsadm -Sn | sort")).trim().split("\n");

    /** `SERVICE SERVER UPPER LOWER`, of real servers that have any. */
    const thresholds = async (): Promise<string[]> => {
        let service = "";
        const found: string[] = [];
        for (const line of (await lab.sh("dir", "ipvsadm -Ln --thresholds")).split("\n")) {
            const words = line.trim().split(/ +/);
            if (/^(TCP|UDP|SCTP|FWM) /.test(line)) service = words.slice(0, words[2] === "IPv6" ? 3 : 2).join(" ");
            else if (words[0] === "->" && /[1-9]/.test(`${words[2]}${words[3]}`) && words[1] !== "RemoteAddress:Port")
                found.push(`${service} ${words.slice(1, 4).join(" ")}`);
        }
        return found.sort();
    };

    const wantedThresholds = (list: Edit[], at: "before" | "after") =>
        list
            .flatMap((edit) =>
                edit[at].servers.flatMap((server) =>
                    server.thresholds === undefined || server.thresholds[0] === 0
                        ? []
                        : [`${edit.service.listed} ${server.place} ${server.thresholds.join(" ")}`],
                ),
            )
            .sort();

    const sorted = (list: string[]) => [...list].sort((a, b) => (a < b ? -1 : 1));

    /** Real servers in the kernel's own order, by service: one that is made anew goes to the front. */
    const order = async (): Promise<Map<string, string>> => {
        let service = "";
        const found = new Map<string, string>();
        for (const line of (await lab.sh("dir", "ipvsadm -Ln --nosort")).split("\n")) {
            const words = line.trim().split(/ +/);
            if (/^(TCP|UDP|SCTP|FWM) /.test(line)) service = words.slice(0, words[2] === "IPv6" ? 3 : 2).join(" ");
            else if (words[0] === "->" && service !== "") found.set(service, `${found.get(service) ?? ""} ${words[1]}`);
        }
        return found;
    };

    test.each(chunks.map((chunk, index) => [index + 1, chunk] as const))(
        "part %i: in place, read back equal, and then quiet",
        async (_, chunk) => {
            await up(services(chunk, "before"));
            await lab.sh("dir", `ipvsadm -R <<'E'\n${chunk.map(foreign).join("\n")}\nE`);
            expect(await saved()).toEqual(sorted(chunk.flatMap((edit) => lines(edit, edit.before))));
            expect(await thresholds()).toEqual(wantedThresholds(chunk, "before"));
            await expectQuiet();
            const before = await order();

            await up(services(chunk, "after"));
            // With it every foreign real server is there, on a service that was not made anew.
            expect(await saved()).toEqual(sorted(chunk.flatMap((edit) => lines(edit, edit.after))));
            expect(await thresholds()).toEqual(wantedThresholds(chunk, "after"));
            const after = await order();
            // The ones that keep their key were edited, and not removed and added.
            const anew = chunk.filter(({ service: { listed } }) => after.get(listed) !== before.get(listed));
            expect(anew).toEqual(chunk.filter(({ otherKey }) => otherKey));
            await expectQuiet();
            await lab.sh(
                "dir",
                `ipvsadm -R <<'E'\n${chunk.map((edit) => foreign(edit).replace("-a", "-d").replace(" -i -w 0", "")).join("\n")}\nE`,
            );
        },
        600_000,
    );
});

describe("random tables:", () => {
    /** Tables that one director has at once, and how often. */
    const together = exhaustive ? 25 : 5;
    const rounds = exhaustive ? 12 : 2;

    afterAll(() => console.log(`random tables: ${rounds * together}, each declared and edited, seed ${seed}`));

    /** Debian's kernel has no twos. */
    const here = <T extends { scheduler: string }>(value: T): T =>
        value.scheduler === "twos" ? { ...value, scheduler: "wlc" } : value;

    const unions = fc.array(tables, { minLength: together, maxLength: together }).map(
        (list): RandomTable => ({
            services: new Map(list.flatMap((table) => [...table.services].map(([key, value]) => [key, here(value)]))),
            destinations: new Map(list.flatMap((table) => [...table.destinations])),
        }),
    );

    /** The same table some days later: values changed, real servers and services come and gone. */
    const edited = (table: RandomTable): fc.Arbitrary<RandomTable> =>
        fc
            .tuple(
                fc.tuple(
                    ...[...table.services].map(([key, value]) =>
                        fc.tuple(
                            fc.constant(key),
                            fc.oneof(
                                { weight: 3, arbitrary: fc.constant(value) },
                                { weight: 3, arbitrary: serviceValues(key).map(here) },
                                { weight: 1, arbitrary: fc.constant(undefined) },
                            ),
                            fc.uniqueArray(destinations(key), { maxLength: 2, selector: ([place]) => place }),
                        ),
                    ),
                ),
                fc.infiniteStream(fc.nat({ max: 3 })),
            )
            .map(([rows, choices]) => {
                const kept = rows.filter(([, value]) => value !== undefined);
                const next: RandomTable = { services: new Map(), destinations: new Map() };
                for (const [key, value, fresh] of kept) {
                    next.services.set(key, value!);
                    for (const [place, old] of table.destinations) {
                        const { service, address, port } = parseDestinationKey(place);
                        if (service !== key) continue;
                        const choice = choices.next().value;
                        const other = fresh[0]?.[1] ?? old;
                        const port_ = forcedPort(key, other.forwarding);
                        const fits =
                            (port_ === undefined || port_ === port) &&
                            (other.forwarding === "tun" || familyOf(address) === familyOfService(key));
                        if (choice > 0) next.destinations.set(place, choice > 1 && fits ? other : old);
                    }
                    for (const [place, each] of fresh) {
                        if (!next.destinations.has(place)) next.destinations.set(place, each);
                    }
                }
                return next;
            });

    const pairsOfTables = unions.chain((table) => fc.tuple(fc.constant(table), edited(table)));

    /** As a program would write it. */
    const program = ({ services, destinations: servers }: RandomTable): Properties =>
        Object.fromEntries(
            [...services].map(([key, { scheduler, flags, onePacket, persistence }]) => [
                key,
                {
                    ...{ scheduler, schedulerFlags: flags, onePacket, vip: { external: true } },
                    ...(persistence === null
                        ? {}
                        : {
                              persistence: {
                                  ...{ timeout: persistence.timeout, netmask: persistence.netmask },
                                  ...(persistence.engine === null ? {} : { engine: persistence.engine }),
                              },
                          }),
                    realServers: Object.fromEntries(
                        [...servers]
                            .filter(([place]) => parseDestinationKey(place).service === key)
                            .map(([place, { tunnel, ...rest }]) => [
                                place.slice(key.length + 1),
                                tunnel === null
                                    ? rest
                                    : {
                                          ...rest,
                                          tunnel: {
                                              ...{ type: tunnel.type, checksum: tunnel.checksum },
                                              ...(tunnel.port === null ? {} : { port: tunnel.port }),
                                          },
                                      },
                            ]),
                    ),
                },
            ]),
        );

    const inKernel = async (): Promise<RandomTable> => {
        const { services, destinations: servers } = parseTable(
            await lab.sh("dir", "ipvsadm -Sn"),
            await lab.sh("dir", "ipvsadm -Ln --thresholds"),
        );
        return { services, destinations: servers };
    };

    test.each(fc.sample(pairsOfTables, { seed, numRuns: rounds }).map((pair, index) => [index + 1, ...pair] as const))(
        "round %i: declared, edited, each time equal in the kernel, and then quiet",
        async (_, table, next) => {
            await up(program(table));
            expect(await inKernel()).toEqual(table);
            await expectQuiet();
            await up(program(next));
            expect(await inKernel()).toEqual(next);
            await expectQuiet();
        },
        600_000,
    );
});

test("with all of them gone the director carries nothing of ours", async () => {
    await provider.delete(director);
    expect(await lab.sh("dir", "ipvsadm -Sn; ls -A /var/lib/pulumi-lvs 2> /dev/null || :")).toBe("");
});
