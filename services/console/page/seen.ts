import { Component, createRef, type VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';

/** What must be told whether it is within the window. One observer for all: a table has hundreds of rows. */
const places = new Map<Element, (isSeen: boolean) => void>();

let observer: IntersectionObserver | undefined;

/** Whether a place is within the window; so it is taken to be before the browser has said. */
export function useSeen(place: { readonly current: Element | null }): boolean {
  const [isSeen, setSeen] = useState(true);
  useEffect(() => {
    const { current } = place;
    if (current === null) return;
    observe(current, setSeen);
    return () => forgetPlace(current);
  }, []);
  return isSeen;
}

/** How old a row may be that is outside the window, in ms. Screen readers, a search in the page and a printer have it too. */
const UNSEEN_MS = 5_000;

/**
 * A row that is drawn anew whenever it can be seen, and otherwise every five seconds, each row at a moment of its own. A table of
 * 100 rows would take twice the scripting that a frame may have.
 */
export abstract class SeenRow<Props> extends Component<Props> {
  readonly place = createRef<HTMLTableRowElement>();
  #observed: Element | undefined;
  #isSeen = true;
  /** Until when it is good outside the window, in ms of the page's clock. */
  #until = performance.now() + UNSEEN_MS * Math.random();

  /** A row whose mark changes is drawn in any case. */
  abstract markOf(props: Props): string;

  abstract draw(props: Props): VNode;

  override componentDidMount(): void {
    const { current } = this.place;
    if (current === null) return;
    this.#observed = current;
    observe(current, (isSeen) => {
      this.#isSeen = isSeen;
      if (isSeen) this.setState({});
    });
  }

  override componentWillUnmount(): void {
    if (this.#observed !== undefined) forgetPlace(this.#observed);
  }

  override shouldComponentUpdate(next: Props): boolean {
    const isDue = performance.now() >= this.#until;
    if (isDue) this.#until = performance.now() + UNSEEN_MS;
    return this.#isSeen || isDue || this.markOf(next) !== this.markOf(this.props);
  }

  override render(): VNode {
    return this.draw(this.props as Props);
  }
}

function observe(place: Element, tell: (isSeen: boolean) => void): void {
  observer ??= new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) places.get(target)?.(isIntersecting);
  });
  places.set(place, tell);
  observer.observe(place);
}

function forgetPlace(place: Element): void {
  places.delete(place);
  observer?.unobserve(place);
}
