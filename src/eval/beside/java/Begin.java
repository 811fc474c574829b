// Begin.java - runs the program's main with its tests, then prints the nonce, which comes through a pipe that is empty before the program's classes are loaded:
// System.exit(0) is no pass. The pipe is the standard input, since Java opens no descriptors by their number.
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;

class Begin {
    public static void main(String[] arguments) throws Throwable {
        byte[] nonce = System.in.readNBytes(32);
        Method main;
        try {
            main = Class.forName("Main").getDeclaredMethod("main", String[].class);
        } catch (ClassNotFoundException e) {
            main = Class.forName("Problem").getDeclaredMethod("main", String[].class);
        }
        main.setAccessible(true);
        try {
            main.invoke(null, (Object) new String[0]);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
        System.out.println();
        System.out.write(nonce);
        System.out.println();
        System.out.flush();
    }
}
