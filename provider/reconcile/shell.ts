/** Actions as shell text: the one place where what a kind wants done becomes a command. */
import type { Action } from "../kinds";
import { command, quote } from "../ssh/quote";

/** An action list as one line of shell, for the ledger's ready commands and for steps. */
export function commandLine(actions: Action[]): string {
    return actions.map(actionText).join(" && ");
}

function actionText(action: Action): string {
    if ("run" in action) return command(...action.run);
    if ("write" in action) return `printf '%s\\n' ${quote(action.text)} > ${quote(action.write)}`;
    return [
        "sh -c",
        constant(action.script),
        "sh",
        ...action.words.map(quote),
        ...(action.texts ?? []).map(constant),
    ].join(" ");
}

/** A text of our own as one word: it may hold line breaks, which no text from outside may. */
export function constant(text: string): string {
    return `'${text.replaceAll("'", "'\\''")}'`;
}
