// Tuple.java - what MultiPL-E's programs use of javatuples, which is not there in a sandbox: tuples that are equal when their kinds and values are.
package org.javatuples;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;

public abstract class Tuple implements Iterable<Object> {
    private final List<Object> values;

    protected Tuple(Object... values) { this.values = Arrays.asList(values); }

    public final int getSize() { return values.size(); }
    public final Object getValue(int at) { return values.get(at); }
    public final List<Object> toList() { return new ArrayList<>(values); }
    public final boolean contains(Object value) { return values.contains(value); }
    @Override public final Iterator<Object> iterator() { return toList().iterator(); }
    @Override public final boolean equals(Object other) { return other != null && getClass() == other.getClass() && values.equals(((Tuple) other).values); }
    @Override public final int hashCode() { return values.hashCode(); }
    @Override public final String toString() { return values.toString(); }
}
