import { useEffect, useRef } from 'preact/hooks';
import type { Follower, Happening, Row, Whereabouts } from './follower.ts';
import { Tape } from './tape.ts';
import { act, type Tier, type TierNode } from './tier.ts';

interface AppProps {
  readonly tier: Tier;
  /** Whether `npm start` answers. */
  readonly answers: boolean;
  readonly follower: Follower;
  /** Why an action was not done. */
  readonly fault: string | undefined;
  readonly onFault: (text: string | undefined) => void;
}

/** The demo: one page that follows all channels, and the buttons that break its tier. */
export function App(props: AppProps) {
  const { tier, answers, follower } = props;
  return (
    <>
      <header>
        <h1>
          Tradewind <span>demo</span>
        </h1>
        <Pill whereabouts={follower.whereabouts} answers={answers} />
        <nav>
          <a href={tier.consoleUrl}>Console</a>
        </nav>
      </header>
      <main>
        <section class="hero" aria-label="What this shows">
          <div>
            <h2>Kill the node that feeds this page.</h2>
            <p>
              The page moves to the other node, asks for what it missed, and puts each trade in its
              place.
            </p>
          </div>
          <Verdict follower={follower} />
        </section>
        <Nodes {...props} />
        <Tiles follower={follower} />
        <Tapes follower={follower} nodes={tier.nodes.map(({ name }) => name)} />
        <section class="two" aria-label="Prices and what happened">
          <Prices rows={follower.rows} />
          <Happenings happenings={follower.happenings} />
        </section>
      </main>
      <footer>
        <p>
          The page follows its channels by the SDK, <code>@tradewind/client</code>, and checks on
          its own that each offset follows the one before.
        </p>
      </footer>
    </>
  );
}

function Pill({
  whereabouts,
  answers,
}: {
  readonly whereabouts: Whereabouts;
  readonly answers: boolean;
}) {
  if (!answers) return <Status tone="bad" icon="■" text="npm start has ended" />;
  switch (whereabouts.name) {
    case 'live':
      return <Status tone="good" icon="●" text={`Live on ${whereabouts.node}`} />;
    case 'moving':
      return <Status tone="warn" icon="▲" text={`Moving: ${whereabouts.from} is gone`} />;
    default:
      return <Status tone="muted" icon="○" text="Connecting" />;
  }
}

function Status(props: { readonly tone: string; readonly icon: string; readonly text: string }) {
  return (
    <p class={`pill ${props.tone}`} role="status">
      <span aria-hidden="true">{props.icon}</span> {props.text}
    </p>
  );
}

function Verdict({ follower }: { readonly follower: Follower }) {
  const { received, toldMissing, untoldMissing, twice } = follower;
  const isWhole = toldMissing + untoldMissing + twice === 0;
  return (
    <p class={`verdict ${isWhole ? 'good' : 'bad'}`}>
      <strong>
        <span aria-hidden="true">{isWhole ? '✓' : '✗'}</span> {whole(received)} trades
      </strong>
      <span>
        {isWhole
          ? 'each once and in order'
          : `${whole(toldMissing)} missing and told, ${whole(untoldMissing)} missing and not told, ${whole(twice)} twice`}
      </span>
    </p>
  );
}

function Nodes({ tier, follower, fault, onFault }: AppProps) {
  const { whereabouts } = follower;
  const here = whereabouts.name === 'live' ? whereabouts.node : undefined;
  const ready = tier.nodes.filter(({ condition }) => condition === 'ready').length;
  const run = (action: string) => () => {
    void act(action).then(onFault);
  };
  return (
    <section class="nodes" aria-label="Nodes">
      {tier.nodes.map((node, index) => (
        <NodeCard
          key={node.name}
          node={node}
          number={index + 1}
          isHere={node.name === here}
          isLast={ready < 2}
          run={run}
        />
      ))}
      <div class="card node">
        <h2>Redis</h2>
        <Condition condition={tier.redis.condition} />
        <p class="figures">{whole(tier.published)} trades published</p>
        <div class="row">
          {tier.redis.canFreeze && (
            <button
              type="button"
              disabled={tier.redis.condition === 'frozen'}
              onClick={run('redis/freeze')}
            >
              Freeze for 4 s
            </button>
          )}
          {tier.canBurst && (
            <button type="button" onClick={run('burst')}>
              Burst of 2,000
            </button>
          )}
        </div>
      </div>
      {fault !== undefined && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
    </section>
  );
}

function NodeCard(props: {
  readonly node: TierNode;
  readonly number: number;
  readonly isHere: boolean;
  readonly isLast: boolean;
  readonly run: (action: string) => () => void;
}) {
  const { node, number, isHere, isLast, run } = props;
  const { name, condition, clients, messagesPerSecond } = node;
  const cannot = condition !== 'ready' || isLast;
  return (
    <div class={`card node node-${number} ${isHere ? 'here' : ''}`}>
      <h2>
        <i class="swatch" aria-hidden="true" /> {name}
        {isHere && <span class="tag">this page is here</span>}
      </h2>
      <Condition condition={condition} />
      <p class="figures">
        {condition === 'down' || clients === undefined ? '–' : whole(clients)} clients,{' '}
        {messagesPerSecond === undefined ? '–' : whole(messagesPerSecond)} deliveries/s
      </p>
      <div class="row">
        <button
          type="button"
          class="danger"
          disabled={cannot}
          aria-label={`Kill ${name}`}
          onClick={run(`nodes/${name}/kill`)}
        >
          Kill
        </button>
        <button
          type="button"
          disabled={cannot}
          aria-label={`Drain ${name}`}
          onClick={run(`nodes/${name}/drain`)}
        >
          Drain
        </button>
      </div>
    </div>
  );
}

const CONDITIONS = {
  ready: { tone: 'good', icon: '●', text: 'ready' },
  draining: { tone: 'warn', icon: '▲', text: 'draining, its clients move' },
  down: { tone: 'bad', icon: '■', text: 'down, and starts again soon' },
  starting: { tone: 'warn', icon: '◌', text: 'starting' },
  frozen: { tone: 'bad', icon: '■', text: 'frozen' },
} as const;

function Condition({ condition }: { readonly condition: keyof typeof CONDITIONS }) {
  const { tone, icon, text } = CONDITIONS[condition];
  return (
    <p class={`condition ${tone}`}>
      <span aria-hidden="true">{icon}</span> {text}
    </p>
  );
}

function Tiles({ follower }: { readonly follower: Follower }) {
  const { toldMissing, untoldMissing, twice, moves, recovered, lagMs } = follower;
  const missing = toldMissing + untoldMissing;
  return (
    <section class="tiles" aria-label="Figures of this page">
      <Tile title="Missing" figure={whole(missing)} tone={missing === 0 ? 'good' : 'bad'} />
      <Tile title="Came twice" figure={whole(twice)} tone={twice === 0 ? 'good' : 'bad'} />
      <Tile title="Moves" figure={whole(moves)} />
      <Tile title="Recovered" figure={whole(recovered)} />
      <Tile title="Lag, median" figure={lagMs ? `${lagMs.p50.toFixed(0)} ms` : '–'} />
      <Tile title="Lag, p99" figure={lagMs ? `${lagMs.p99.toFixed(0)} ms` : '–'} />
    </section>
  );
}

function Tile(props: { readonly title: string; readonly figure: string; readonly tone?: string }) {
  return (
    <div class={`card tile ${props.tone ?? ''}`}>
      <h2>{props.title}</h2>
      <p>{props.figure}</p>
    </div>
  );
}

function Tapes(props: { readonly follower: Follower; readonly nodes: readonly string[] }) {
  const { follower, nodes } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (canvas.current !== null) new Tape(canvas.current, follower, nodes);
  }, []);
  return (
    <section class="card" aria-label="The last trades">
      <div class="head">
        <h2>Each trade, when it was published</h2>
        <ul class="legend">
          {nodes.map((node, index) => (
            <li key={node} class={`node-${index + 1}`}>
              <i class="swatch" aria-hidden="true" /> by {node}
            </li>
          ))}
          <li class="recovered">
            <i class="swatch tall" aria-hidden="true" /> missed, then from history
          </li>
          <li class="outage">
            <i class="swatch wide" aria-hidden="true" /> no connection
          </li>
        </ul>
      </div>
      <canvas
        ref={canvas}
        role="img"
        aria-label="Trades of the last seconds by channel; the list of what happened says the same in words"
      />
    </section>
  );
}

function Prices({ rows }: { readonly rows: readonly Row[] }) {
  return (
    <div class="card">
      <h2>Prices</h2>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Channel</th>
              <th scope="col" class="number">
                Last price
              </th>
              <th scope="col" class="wide">
                Last trades
              </th>
              <th scope="col" class="number">
                Lag
              </th>
              <th scope="col" class="number wide">
                Offset
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.name}>
                <th scope="row">{row.name}</th>
                <td class={`number price ${row.direction}`}>
                  {row.price === '' ? '–' : row.price}
                  <span aria-hidden="true">{ARROWS[row.direction]}</span>
                </td>
                <td class="wide">
                  <Spark prices={row.prices} />
                </td>
                <td class="number">
                  {row.lagMs === undefined ? '–' : `${row.lagMs.toFixed(0)} ms`}
                </td>
                <td class="number wide">{row.offset === undefined ? '–' : whole(row.offset)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

const ARROWS = { up: ' ▲', down: ' ▼', same: '  ' } as const;

/** The measures of a spark line, in its own units. */
const SPARK = { width: 120, height: 22 };

function Spark({ prices }: { readonly prices: readonly number[] }) {
  const least = Math.min(...prices);
  const range = Math.max(...prices) - least || 1;
  const points = prices.map((price, index) => {
    const x = (index / Math.max(1, prices.length - 1)) * SPARK.width;
    const y = SPARK.height - 1 - ((price - least) / range) * (SPARK.height - 2);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${SPARK.width} ${SPARK.height}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <polyline points={points.join(' ')} />
    </svg>
  );
}

function Happenings({ happenings }: { readonly happenings: readonly Happening[] }) {
  return (
    <div class="card">
      <h2>What happened</h2>
      <ol class="happenings">
        {happenings.slice(0, SHOWN_HAPPENINGS).map(({ id, at, tone, text }) => (
          <li key={id}>
            <time>{new Date(at).toTimeString().slice(0, 8)}</time>
            <span class={`mark ${tone}`} aria-hidden="true">
              {MARKS[tone]}
            </span>
            <span>{text}</span>
          </li>
        ))}
      </ol>
    </div>
  );
}

/** As many as the table of prices beside them is high. */
const SHOWN_HAPPENINGS = 9;

const MARKS = { good: '✓', bad: '■', plain: '→' } as const;

function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}
