/** Requests from a lab host: a number of them, or one after the other in the background until told to stop. */
import type { Lab } from "./lab";

/** How often each answer came. */
export type Answers = Record<string, number>;

/** Sends requests one after the other; each must succeed and print who answered. */
export async function answersOf(lab: Lab, host: string, request: string, times: number): Promise<Answers> {
    const script = `n=0; while [ $n -lt ${times} ]; do n=$((n+1)); ${request} || { echo "request $n" >&2; exit 1; }; done`;
    return counted(await lab.sh(host, script));
}

function counted(output: string): Answers {
    const answers: Answers = {};
    for (const line of output.split("\n").filter((each) => each !== "")) answers[line] = (answers[line] ?? 0) + 1;
    return answers;
}

export interface Load {
    /** Ends the load. What was answered, and what went wrong with the number of the request. */
    stop(): Promise<{ answers: Answers; requests: number; failures: string }>;
}

/** More requests than a test lasts; a load that a test forgets ends nevertheless. */
const MOST = 5000;

/** Starts a load; resolves when the first request has been answered. */
export async function startLoad(lab: Lab, host: string, request: string): Promise<Load> {
    const where = (await lab.sh(host, "mktemp -d")).trim();
    const loop = [
        "n=0",
        `while [ ! -e ${where}/stop ] && [ $n -lt ${MOST} ]; do n=$((n+1))`,
        `    ${request} >>${where}/answers 2>>${where}/errors || echo "request $n: status $?" >>${where}/errors`,
        "    sleep 0.02",
        "done",
        `echo $n >${where}/ended`,
    ].join("\n");
    const wait = (file: string) =>
        `i=0; while [ ! -s ${where}/${file} ] && [ $i -lt 600 ]; do i=$((i+1)); sleep 0.1; done`;
    await lab.sh(
        host,
        `cat >${where}/loop <<'LOOP'\n${loop}\nLOOP\nsetsid sh ${where}/loop </dev/null >/dev/null 2>&1 &\n${wait("answers")}`,
    );
    return {
        async stop() {
            const script = [
                `if [ -e ${where}/ended ]; then echo "the load ended by itself" >>${where}/errors; fi`,
                `touch ${where}/stop`,
                wait("ended"),
                `cat ${where}/ended; echo ---; cat ${where}/answers; echo ---; cat ${where}/errors`,
            ].join("\n");
            const [requests, answers, failures] = (await lab.sh(host, script)).split("---\n");
            return { requests: Number(requests), answers: counted(answers ?? ""), failures: failures ?? "" };
        },
    };
}
