import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

/** A panel beside the page. It takes the focus, and gives it back when it closes. */
export function Drawer(props: {
  readonly title: string;
  readonly label: string;
  readonly isWide?: boolean;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}) {
  const place = useRef<HTMLElement>(null);
  // Before the next key comes: a late one would take the focus from where that key put it.
  useLayoutEffect(() => {
    const before = document.activeElement;
    place.current?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <aside
      ref={place}
      class={`drawer${props.isWide === true ? ' broad' : ''}`}
      aria-label={props.label}
      tabIndex={-1}
      onKeyDown={(event) => {
        if (event.key === 'Tab' && place.current !== null) keepFocus(place.current, event);
      }}
    >
      <div class="drawer-head">
        <h2>{props.title}</h2>
        <button type="button" class="quiet" onClick={props.onClose} aria-label="Close">
          ✕
        </button>
      </div>
      {props.children}
    </aside>
  );
}

/** Moves the focus from the drawer's last element to its first, and back. Behind the drawer it would be invisible. */
function keepFocus(drawer: HTMLElement, event: KeyboardEvent): void {
  const places = [
    ...drawer.querySelectorAll<HTMLElement>('button:not([disabled]), input, [tabindex="0"]'),
  ];
  const [first, last] = [places[0], places.at(-1)];
  const at = document.activeElement;
  const to = event.shiftKey ? last : first;
  if (at === (event.shiftKey ? first : last) || (event.shiftKey && at === drawer)) {
    event.preventDefault();
    to?.focus();
  }
}

/** Names with their values. */
export function Figures({ rows }: { readonly rows: readonly (readonly [string, string])[] }) {
  return (
    <dl>
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
