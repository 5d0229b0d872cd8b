import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

/** What must be told whether it is within the window. One observer for all: a table has hundreds of rows. */
const places = new Map<Element, (isSeen: boolean) => void>();

let observer: IntersectionObserver | undefined;

/** Whether a place is within the window; so it is taken to be before the browser has said. */
export function useSeen(place: { readonly current: Element | null }): boolean {
  const [isSeen, setSeen] = useState(true);
  useEffect(() => {
    const { current } = place;
    if (current === null) return;
    observer ??= new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) places.get(target)?.(isIntersecting);
    });
    places.set(current, setSeen);
    observer.observe(current);
    return () => {
      places.delete(current);
      observer?.unobserve(current);
    };
  }, []);
  return isSeen;
}

/** What was drawn of a row, and until when it is good outside the window, in ms of the page's clock. */
interface Drawn {
  readonly mark: string;
  readonly node: VNode;
  readonly until: number;
}

/** How old a row may be that is outside the window, in ms. Screen readers, a search in the page and a printer have it too. */
const UNSEEN_MS = 5_000;

/**
 * What is drawn of a row: anew whenever it can be seen, and otherwise every five seconds, each row at a moment of its own. A
 * table of 100 rows would take twice the scripting that a frame may have.
 *
 * @param mark a row whose mark changes is drawn in any case.
 */
export function useDrawnWhileSeen(
  place: { readonly current: Element | null },
  mark: string,
  make: () => VNode,
): VNode {
  const isSeen = useSeen(place);
  const drawn = useRef<Drawn | undefined>(undefined);
  const now = performance.now();
  const { current } = drawn;
  if (!isSeen && current !== undefined && current.mark === mark && now < current.until) {
    return current.node;
  }
  const until = now + UNSEEN_MS * (current === undefined ? Math.random() : 1);
  const node = make();
  drawn.current = { mark, node, until };
  return node;
}
