package dashcam;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.email.UAX29URLEmailTokenizer;
import org.apache.lucene.analysis.miscellaneous.RemoveDuplicatesTokenFilter;
import org.apache.lucene.analysis.pattern.PatternCaptureGroupTokenFilter;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.index.mapper.Mapper;
import org.elasticsearch.index.mapper.TextFieldMapper;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.MapperPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xpack.core.ilm.LifecycleSettings;
import org.elasticsearch.xpack.core.ilm.RolloverAction;

/**
 * What the published part of the server lacks of the modules that our requests touch.
 *
 * <p>The server, its security and the classes of index lifecycles are Elasticsearch's own; their modules
 * `rest-root`, `x-pack-ilm`, `data-streams`, `mapper-extras` and `analysis-common` are not published. This brings
 * the least of each: the answer to `GET /`, the settings and policies of lifecycles (read and checked by
 * Elasticsearch's own classes, kept, never carried out), that data streams have failure stores and the type of
 * text in these, and the analysis that the index of users asks for.
 */
public final class UnpublishedParts extends Plugin implements ActionPlugin, AnalysisPlugin, MapperPlugin {
  @Override
  public List<Setting<?>> getSettings() {
    return List.of(
        LifecycleSettings.LIFECYCLE_NAME_SETTING,
        LifecycleSettings.LIFECYCLE_INDEXING_COMPLETE_SETTING,
        RolloverAction.LIFECYCLE_ROLLOVER_ALIAS_SETTING);
  }

  @Override
  public List<NamedXContentRegistry.Entry> getNamedXContent() {
    return LifecyclePolicies.parts();
  }

  @Override
  public Collection<RestHandler> getRestHandlers(
      RestHandlersServices services, Supplier<DiscoveryNodes> nodes, Predicate<NodeFeature> supports) {
    return List.of(new Root(), new LifecyclePolicies());
  }

  @Override
  public Map<String, Mapper.TypeParser> getMappers() {
    return Map.of("match_only_text", TextFieldMapper.PARSER);
  }

  @Override
  public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
    return Map.of(
        "uax_url_email",
        (index, environment, name, settings) -> TokenizerFactory.newFactory(name, UAX29URLEmailTokenizer::new));
  }

  @Override
  public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
    return Map.of(
        "pattern_capture",
        (index, environment, name, settings) -> {
          Pattern[] patterns =
              settings.getAsList("patterns").stream().map(Pattern::compile).toArray(Pattern[]::new);
          boolean original = settings.getAsBoolean("preserve_original", true);
          return filter(name, stream -> new PatternCaptureGroupTokenFilter(stream, original, patterns));
        },
        "unique",
        (index, environment, name, settings) -> filter(name, RemoveDuplicatesTokenFilter::new));
  }

  private static TokenFilterFactory filter(
      String name, UnaryOperator<TokenStream> made) {
    return new TokenFilterFactory() {
      @Override
      public String name() {
        return name;
      }

      @Override
      public TokenStream create(TokenStream stream) {
        return made.apply(stream);
      }
    };
  }
}
