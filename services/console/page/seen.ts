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

/**
 * What is drawn of a row: anew while it can be seen. Otherwise it is what was drawn last, which costs nothing.
 *
 * @param mark a row whose mark changes is drawn in any case.
 */
export function useDrawnWhileSeen(
  place: { readonly current: Element | null },
  mark: string,
  make: () => VNode,
): VNode {
  const isSeen = useSeen(place);
  const drawn = useRef<{ readonly mark: string; readonly node: VNode } | undefined>(undefined);
  if (isSeen || drawn.current?.mark !== mark) drawn.current = { mark, node: make() };
  return drawn.current.node;
}
