/** What an error says of the rest of its operation. */
import { LeftBehind, StepError, withAftermath } from "../../../provider/reconcile/errors";
import { ConnectionError } from "../../../provider/ssh/errors";

const connection = new ConnectionError({
    kind: "unreachable",
    host: "lb1 (root@192.0.2.1:22)",
    doing: "connecting",
    reason: "refused",
    remedy: "Is it up?",
    sent: false,
});
const step = new StepError("LVS-STEP", "lb1", "add a rule", "status 1", "See the message.");

test.each([
    ["a lost connection", connection],
    ["a step", step],
    ["anything else", new Error("oh")],
    ["what is left behind", new LeftBehind(step)],
])(
    "several operations that end with one error of %s each say what became of them, and not of the others",
    (_, error) => {
        const before = error.message;
        const first = withAftermath(error, "The first was taken back.") as Error;
        const second = withAftermath(withAftermath(error, "The second was not."), "See there.") as Error;
        expect(error.message).toBe(before);
        expect(first.message).toContain(`${before}\n  The first was taken back.`);
        expect(second.message).toMatch(/The second was not\.\s+See there\.$/);
        expect(second.message).not.toContain("first");
        expect(first).toBeInstanceOf(error.constructor);
    },
);

test("an unreachable host is still known as one", () => {
    expect(withAftermath(connection, "Nothing was done.")).toMatchObject({ kind: "unreachable", sent: false });
});
