package org.elasticsearch.node;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;

import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * Starts one node and keeps it until the process is told to end.
 *
 * Elastic's own entry point lives in modules that are not published, so this does what it does and no more: read
 * config/elasticsearch.yml, lay the arguments ("name=value", a setting each) over it, configure logging, load the
 * modules, start.
 */
public final class Launcher {
    private Launcher() {}

    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(System.getProperty("es.path.home"));
        Map<String, String> settings = new TreeMap<>();
        settings.put("path.home", home.toString());
        for (String argument : arguments) {
            int equals = argument.indexOf('=');
            if (equals < 1) {
                throw new IllegalArgumentException("not a setting, name=value expected: " + argument);
            }
            settings.put(argument.substring(0, equals), argument.substring(equals + 1));
        }
        Environment environment = InternalSettingsPreparer.prepareEnvironment(
            Settings.EMPTY, settings, home.resolve("config"), () -> "ruledeploy");
        Files.createDirectories(environment.logsDir()); // the node writes http.ports there, and expects the directory
        LogConfigurator.setNodeName(Node.NODE_NAME_SETTING.get(environment.settings()));
        LogConfigurator.configure(environment, true);
        PluginsLoader plugins = PluginsLoader.createPluginsLoader(
            PluginsLoader.loadModulesBundles(environment.modulesDir()), Set.of(), Map.of(), false);
        Node node = new Node(environment, plugins);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception failure) {
                failure.printStackTrace();
            }
        }));
        node.start();
        new CountDownLatch(1).await(); // the node's own threads are daemons: this one keeps the process until a signal ends it
    }
}
