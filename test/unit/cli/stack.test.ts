import { judge, readState } from "../../../cli/stack";
import type { LedgerFile } from "../../../provider/reconcile/ledger";

const STACK = "organization/shop/prod";
const WEB = "pulumi-nodejs:dynamic/lvs:VirtualService";
const OWNER = `${STACK}#VirtualService/web`;
const ID = "lb1/tcp/192.0.2.100:80";

const file = (over: Partial<LedgerFile> = {}): LedgerFile => ({
    ...{ owner: OWNER, id: ID, token: "a1", sequence: 1, machine: "m", boot: true, maintenance: [], claims: [] },
    ...over,
});
const state = (...resources: object[]) => readState(JSON.stringify({ deployment: { resources } }), STACK);
const web = { type: WEB, id: ID, outputs: { owner: OWNER, token: "a1" } };

test.each([
    ["of a resource in the state is known", file(), [web], "known"],
    ["of a resource that waits for its deletion is known", file(), [{ ...web, delete: true }], "known"],
    ["without a resource in the state is dead", file(), [], "dead"],
    ["of another ID is dead", file({ id: "lb2/tcp/192.0.2.100:80" }), [web], "dead"],
    ["of another name is dead", file({ owner: `${STACK}#VirtualService/old` }), [web], "dead"],
    ["with another token is of another incarnation", file({ token: "b2" }), [web], "other incarnation"],
    ["of another stack is not judged", file({ owner: "organization/blog/prod#VirtualService/web" }), [web], undefined],
    [
        "of a stack whose name begins alike is not judged",
        file({ owner: `${STACK}2#VirtualService/web` }),
        [],
        undefined,
    ],
])("a ledger file %s", (_, which, resources, verdict) => {
    expect(judge(which, state(...resources))).toBe(verdict);
});

test("a token that the state keeps encrypted tells nothing against a file", () => {
    const secret = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", ciphertext: "…" };
    expect(judge(file(), state({ ...web, outputs: { owner: OWNER, token: secret } }))).toBe("known");
});

test("a stack is known by the owners in its state too: by lvs:owner of an earlier up", () => {
    const renamed = { type: WEB, id: ID, outputs: { owner: "shop-old#VirtualService/web", token: "a1" } };
    expect(judge(file({ owner: "shop-old#VirtualService/gone" }), state(renamed))).toBe("dead");
    expect(judge(file({ owner: "shop-old#VirtualService/gone" }), state(web))).toBeUndefined();
});

test("resources of other packages, and a state without any, are no trouble", () => {
    const other = { type: "pulumi-nodejs:dynamic:Resource", id: "x", outputs: { owner: OWNER, token: "a1" } };
    expect(judge(file(), state(other, { type: "pulumi:pulumi:Stack" }))).toBe("dead");
    expect(judge(file(), readState('{"version":3,"deployment":{}}', STACK))).toBe("dead");
});
