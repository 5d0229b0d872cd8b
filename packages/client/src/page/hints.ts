import type { Cancel, Page, PageEvent } from '../surroundings.ts';

export interface HintsOwner {
  /** The network or the page may be back, or may have been away: try now, or find out whether the connection lives. */
  tryNow(isNetwork: boolean): void;
  /** The network seems to be gone. */
  seemsOffline(): void;
  /** The page is put to sleep. */
  freeze(): void;
  /** Whether somebody sees the page has changed. */
  visibility(isHidden: boolean): void;
  /** The page may end without a further event. */
  save(): void;
}

/** Listens to what a browser says about its page and network. Every event is a hint and no more: none of them comes everywhere. */
export function listenToHints(page: Page, owner: HintsOwner): Cancel {
  return page.listen((event: PageEvent) => {
    switch (event.type) {
      case 'offline':
        owner.seemsOffline();
        break;
      case 'freeze':
        owner.save();
        owner.freeze();
        break;
      case 'pagehide':
        owner.save();
        // A page with an open connection is not kept for the way back.
        if (event.persisted) owner.freeze();
        break;
      case 'visibilitychange': {
        const isHidden = page.isHidden();
        if (isHidden) owner.save();
        owner.visibility(isHidden);
        if (!isHidden) owner.tryNow(false);
        break;
      }
      case 'online':
      case 'change':
        owner.tryNow(true);
        break;
      default:
        owner.tryNow(false);
    }
  });
}
