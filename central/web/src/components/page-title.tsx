/** The heading of a page, which also names the browser's tab and takes the focus after navigation. */
import { type ReactNode, useEffect, useRef } from 'react';

interface PageTitleProps {
  /** For the tab: `Events`. */
  readonly title: string;
  /** What to show instead of the plain title. */
  readonly children?: ReactNode;
}

let firstPage = true;

export function PageTitle({ title, children }: PageTitleProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Fender`;
  }, [title]);
  useEffect(() => {
    // The browser itself starts at the top of the first page; later ones are announced by moving the focus.
    if (firstPage) firstPage = false;
    else heading.current?.focus();
  }, []);
  return (
    <h1 ref={heading} tabIndex={-1} className="page-title">
      {children ?? title}
    </h1>
  );
}
