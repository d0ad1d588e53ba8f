/** `lvs claims` over a host's real scripts: what is listed, and what is forgotten or undone. Only SSH is left out. */
import { claims } from "../../../cli/claims";
import { Usage } from "../../../cli/host";
import type { Want } from "../../../provider/kinds/want";
import { Host } from "../../../provider/reconcile/host";
import { fileName } from "../../../provider/reconcile/ledger";
import { plan, type Request } from "../../../provider/reconcile/plan";
import { connectionSchema } from "../../../provider/ssh/connection";
import { Sandbox } from "../reconcile/sandbox";
import { requestOf, SYSCTL, want } from "../reconcile/world";

const sandboxes = new Map<string, Sandbox>();
jest.mock("../../../provider/ssh/session", () => ({
    runScript: ({ host }: { host: string }, script: string) => sandboxes.get(host)!.start(script),
}));
jest.mock("../../../cli/stack", () => ({ projectAtHand: () => false }));

const DIRECTORY = "var/lib/pulumi-lvs";
let counter = 0;
let name: string;
let printed = "";
const sandbox = () => sandboxes.get(name)!;
const lvs = async (...words: string[]): Promise<string> => {
    const [verb = "", ...rest] = words.filter((word) => !word.startsWith("--"));
    const options = Object.fromEntries(
        words.filter((word) => word.startsWith("--")).map((word) => [word.slice(2), true]),
    );
    printed = "";
    await claims.run([verb, name, ...rest], options);
    return printed;
};
/** As another process does it, later. */
const submit = (request: Request) => {
    const host = new Host(connectionSchema.parse({ host: name }));
    host.options = { commandTimeout: 20, say: () => {} };
    return host.submit({ says: request.id, settings: [], groups: [], plan: (state) => plan(request, state) });
};
const declare = (owner: string, wants: Want[]) => submit(requestOf({ creating: true, owner, id: owner, wants }));
const fileOf = (owner: string) => fileName({ owner, id: owner });
const damage = (owner: string, how: (text: string) => string) => {
    const path = `${DIRECTORY}/${fileOf(owner)}`;
    sandbox().write(path, how(sandbox().read(path)));
};
const setting = () => sandbox().read("proc/sys/net/ipv4/vs/conntrack").trim();

const WEB = "org/shop/prod#VirtualService/web";
const LB1 = "org/shop/prod#Director/lb1";

beforeEach(async () => {
    name = `claims-${++counter}`;
    sandboxes.set(name, new Sandbox().withIpvs());
    jest.spyOn(process.stdout, "write").mockImplementation((text) => {
        printed += String(text);
        return true;
    });
    await declare(LB1, [want("sysctl", SYSCTL, "1")]);
    await declare(WEB, [want("address", "eth0/192.0.2.100/32", { deprecated: false })]);
});
afterEach(() => jest.restoreAllMocks());

test.each([fileOf(LB1), LB1, "Director/lb1 of org/shop/prod"])(
    "released as %s, a file is forgotten, and the host stays as it is",
    async (word) => {
        expect(await lvs("release", word)).toMatch(/is forgotten; the host stays as it is/);
        expect([sandbox().ledger, setting()]).toEqual([[fileOf(WEB)], "1"]);
    },
);

test("with --restore what a file claims is undone, too", async () => {
    expect(await lvs("release", fileOf(LB1), "--restore")).toMatch(/is undone and forgotten/);
    expect([sandbox().ledger, setting()]).toEqual([[fileOf(WEB)], "0"]);
});

test("a file that is not there is told, and so are several of one owner", async () => {
    await submit(requestOf({ creating: true, owner: WEB, id: "other", wants: [want("module", "ip_vs", true)] }));
    await expect(lvs("release", "web")).rejects.toThrow(Usage);
    await expect(lvs("release", WEB)).rejects.toThrow(/has several files/);
    expect(sandbox().ledger).toHaveLength(3);
});

describe("a damaged file", () => {
    test.each([
        ["cut off", (text: string) => text.slice(0, -20)],
        ["of which nothing is left", () => ""],
    ])("%s is listed, blocks what is released on the host, and is forgotten", async (_, how) => {
        damage(WEB, how);
        const list = await lvs("list");
        expect(list).toMatch(new RegExp(`${fileOf(WEB)}.*damaged.*lvs claims release ${name} ${fileOf(WEB)}`, "s"));
        const refused = submit(requestOf({ phase: "delete", owner: LB1, id: LB1 }));
        await expect(refused).rejects.toThrow(
            new RegExp(`LVS-LEDGER-DAMAGED.*claims release HOST ${fileOf(WEB)}`, "s"),
        );
        await expect(lvs("release", fileOf(WEB), "--restore")).rejects.toThrow(/without --restore/);
        expect(await lvs("release", fileOf(WEB))).toMatch(/is forgotten/);
        expect(sandbox().ledger).toEqual([fileOf(LB1)]);
        await submit(requestOf({ phase: "delete", owner: LB1, id: LB1 }));
        expect([sandbox().list("var/lib"), setting()]).toEqual([[], "0"]);
    });

    test("is found by the owner that can still be read", async () => {
        damage(WEB, (text) => text.slice(0, -20));
        expect(await lvs("list")).toContain("(VirtualService/web of org/shop/prod)");
        await lvs("release", "VirtualService/web of org/shop/prod");
        expect(sandbox().ledger).toEqual([fileOf(LB1)]);
    });

    test("whose name is no word for a shell takes nothing else with it", async () => {
        const odd = "x *.claims";
        sandbox().write(`${DIRECTORY}/${odd}`, "what?\n");
        await lvs("release", odd);
        expect(sandbox().ledger).toHaveLength(2);
    });
});

test("a file of a newer version is not forgotten by this one", async () => {
    damage(WEB, (text) => text.replace("pulumi-lvs 1", "pulumi-lvs 2"));
    expect(await lvs("list")).toMatch(/newer/);
    await expect(lvs("release", fileOf(WEB))).rejects.toThrow(/LVS-LEDGER-NEWER/);
    expect(sandbox().ledger).toHaveLength(2);
});

test("a claim of a kind that this version does not know is listed, and nothing of its file is undone", async () => {
    damage(LB1, (text) =>
        text.replace(/claim\t(\d+)\tsysctl(.*)\nend (\d+)/, (line) => {
            const [claim = ""] = line.split("\n");
            return `${claim}\n${claim.replace("sysctl", "novelty")}\nend ${Number(line.split(" ").at(-1)) + 1}`;
        }),
    );
    expect(await lvs("list")).toMatch(/novelty net\.ipv4\.vs\.conntrack.*a newer pulumi-lvs wrote it/);
    await expect(lvs("release", fileOf(LB1), "--restore")).rejects.toThrow(
        new RegExp(`${name}.*novelty.*LVS-LEDGER-NEWER.*nothing was touched`, "s"),
    );
    expect([sandbox().ledger.length, setting()]).toEqual([2, "1"]);
});
